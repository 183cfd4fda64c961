/**
 * One datagram to a Unix socket, from this very process: systemd looks at the sender's process id, so a helper program
 * that sends it is not believed in units as etcd's are (`NotifyAccess=main`). Node has no such sockets; libc does.
 */
import { endianness } from "node:os"
import { unixAddress } from "../../core/unixAddress.ts"

const unix = 1
const datagramCloseOnExec = 0x80002

/** Undefined: sent. Otherwise why not. */
export const sendDatagram = async (to: string, text: string): Promise<string | undefined> => {
  const address = unixAddress(to, endianness() === "LE")
  if (address === undefined) return `${JSON.stringify(to.slice(0, 120))} is not a socket's path or name`
  if (process.platform !== "linux") return "only on Linux"
  const { default: koffi } = await import("koffi")
  const libc = koffi.load(null)
  const socket = libc.func("int socket(int family, int type, int protocol)")
  const send = libc.func(
    "long sendto(int fd, const void *data, unsigned long length, int flags, const void *to, unsigned int size)"
  )
  const close = libc.func("int close(int fd)")
  const fd = socket(unix, datagramCloseOnExec, 0) as number
  if (fd < 0) return `no socket (error ${koffi.errno()})`
  const data = new TextEncoder().encode(text)
  const sent = send(fd, data, data.length, 0, address, address.length) as number
  const errno = koffi.errno()
  close(fd)
  return sent === data.length ? undefined : `not sent (error ${errno})`
}
