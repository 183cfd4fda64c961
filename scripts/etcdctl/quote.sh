# shellcheck shell=sh
# Sourced, POSIX sh: a key or a value as `etcdctl txn` reads it from its input.

# In double quotes, with backslashes before what is special in them; a line break would end the request.
quote() {
  case $1 in
  *'
'*)
    echo "${0##*/}: keys and values with line breaks cannot be given here" >&2
    exit 2
    ;;
  esac
  printf '"%s"' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')"
}

# A revision is digits; anything else would be compared as something else.
revision() {
  case $1 in
  '' | *[!0-9]*)
    echo "${0##*/}: '$1' is no revision; needed: the key's mod_revision, digits" >&2
    exit 2
    ;;
  esac
  printf '"%s"' "$1"
}
