/** A Unix datagram socket such as systemd's, to see what a program tells its service manager. */
import { endianness } from "node:os"
import { Effect, type Scope } from "effect"
import koffi from "koffi"
import { unixAddress } from "../../src/core/unixAddress.ts"

const libc = koffi.load(null)
const socket = libc.func("int socket(int family, int type, int protocol)")
const bind = libc.func("int bind(int fd, const void *to, unsigned int size)")
const receive = libc.func("long recv(int fd, _Out_ void *data, unsigned long length, int flags)")
const close = libc.func("int close(int fd)")

const unix = 1
const datagramCloseOnExec = 0x80002
const doNotWait = 0x40

export interface NotifySocket {
  /** What has come since the last time. */
  readonly take: () => ReadonlyArray<string>
}

export const notifySocket = (path: string): Effect.Effect<NotifySocket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const fd = socket(unix, datagramCloseOnExec, 0) as number
      const address = unixAddress(path, endianness() === "LE")!
      if (fd < 0 || (bind(fd, address, address.length) as number) !== 0) throw new Error(`no socket at ${path}`)
      return fd
    }),
    (fd) => Effect.sync(() => close(fd))
  ).pipe(
    Effect.map((fd) => ({
      take: () => {
        const messages: Array<string> = []
        const buffer = Buffer.alloc(4_096)
        for (;;) {
          const length = receive(fd, buffer, buffer.length, doNotWait) as number
          if (length <= 0) return messages
          messages.push(buffer.toString("utf8", 0, length))
        }
      }
    }))
  )
