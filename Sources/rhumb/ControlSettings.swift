// Who may speak to a running server: the rights of its control socket.

import Glibc
import Settings

/// The mode and the group of the socket's file, as `control: { mode: 0660, group: operators }` says.
struct ControlSettings: Equatable {
    var mode: mode_t = 0o600
    /// The number of the group; nil for that of the process.
    var group: gid_t?

    init() {}

    init(_ value: SettingsValue, _ diagnostics: inout Diagnostics) {
        guard let map = value.mapping(["mode", "group"], &diagnostics) else { return }
        if let value = map["mode"] {
            if let mode = value.text.flatMap({ mode_t($0, radix: 8) }), mode & ~0o666 == 0 {
                self.mode = mode
                if mode & 0o002 != 0 {
                    diagnostics.warning(
                        at: value.position,
                        "every user of this machine may drain and down with this mode; 0660 and a group lets"
                            + " some")
                }
            } else {
                value.expected(
                    "the rights of a file in octal digits, as 0600 or 0660", &diagnostics)
            }
        }
        if let value = map["group"], let name = value.string(&diagnostics) {
            // Safe: a terminated string is passed, and the entry is read before any other call.
            if let entry = unsafe getgrnam(name) {
                group = unsafe entry.pointee.gr_gid
            } else {
                value.expected(
                    "a group of this machine; \"groupadd --system \(name)\" makes it", &diagnostics)
            }
        }
    }

    /// Gives a file these rights.
    func apply(to path: String) throws(StateError) {
        // Safe, twice: the path is passed terminated. An owner of all ones is left as it is.
        if let group, unsafe chown(path, .max, group) != 0 {
            throw StateError(
                "\(path) cannot be given to the group of control.group: \(systemMessage(errno)); the server's"
                    + " user has to be in it")
        }
        guard unsafe chmod(path, mode) == 0 else {
            throw StateError("\(path): \(systemMessage(errno))")
        }
    }
}
