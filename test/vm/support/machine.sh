#!/bin/sh
# A scratch machine: systemd as process 1 of namespaces of its own, over a root of nothing but Debian's /usr (without
# Node, and without /usr/local) and a bare /etc. Its disk is memory: whatever ends the machine takes the disk with it.
# usage: machine.sh FOLDER NAME NAMESPACE       as root; NAMESPACE is its network
#   FOLDER/files   copied over the root      FOLDER/binds   lines "SOURCE TARGET", mounted read-only
set -eu
folder=$1 name=$2 namespace=$3

if [ "$namespace" != inside ]; then
  cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
  [ -n "$cgroups" ] || { echo "machine: there is no cgroup2 here" >&2; exit 1; }
  mkdir -p "$cgroups/$name"
  echo $$ >"$cgroups/$name/cgroup.procs"
  exec ip netns exec "$namespace" unshare --mount --pid --uts --ipc --cgroup --fork --kill-child "$0" "$folder" "$name" inside
fi

mount --make-rprivate /
root=$folder/root
mkdir -p "$root"
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p disk/usr disk/work usr etc/systemd/system dev proc sys run tmp var/lib var/log var/tmp root opt
chmod 1777 tmp var/tmp
ln -s /run var/run
mount -t overlay -o "lowerdir=/usr,upperdir=$root/disk/usr,workdir=$root/disk/work" overlay usr
for link in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$link" ]; then cp -a "/$link" "$link"; fi
done
mount -t tmpfs -o mode=755 tmpfs usr/local
rm -f usr/bin/node usr/bin/nodejs usr/bin/npm usr/bin/netsy

for file in passwd group shadow gshadow login.defs default/useradd ld.so.cache ld.so.conf ld.so.conf.d nsswitch.conf \
  pam.d security alternatives; do
  [ -e "/etc/$file" ] || continue
  mkdir -p "$(dirname "etc/$file")"
  cp -a "/etc/$file" "etc/$file"
done
sed -i '/^netsy:/d' etc/passwd etc/group etc/shadow etc/gshadow
echo "$name" >etc/hostname
echo "127.0.0.1 localhost $name" >etc/hosts
tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
for unit in getty.target systemd-logind.service systemd-udevd.service systemd-user-sessions.service dbus.service \
  dbus.socket systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap.service fstrim.timer systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service; do
  ln -s /dev/null "etc/systemd/system/$unit"
done
cp -a "$folder/files/." .

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/shm dev/pts
chmod 1777 dev/shm
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
if [ -e "$folder/binds" ]; then
  while read -r source target; do
    mkdir -p ".$target"
    mount --bind "$source" ".$target"
  done <"$folder/binds"
fi

hostname "$name"
mkdir -p .old
pivot_root . .old
umount -l /.old
exec env -i container=netsy-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=multi-user.target
