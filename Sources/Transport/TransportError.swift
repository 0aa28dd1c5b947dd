// What can go wrong when the server starts, in the operator's words: place, fault and cure.
// After the start nothing is thrown; what happens then is counted.

public import Authority
import Glibc

/// Why the server could not start; nothing of it is left open.
public enum TransportError: Error, Equatable {
    /// A system call failed while opening a socket; `call` is its name, `code` the errno.
    case cannotListen(ListenAddress, Carrier, call: String, code: Int32)
    /// The same address and port stands twice in the list.
    case listedTwice(ListenAddress)
    /// There is nothing to listen on.
    case noAddress
    /// A thread could not be started; `code` is the errno.
    case cannotStartThread(code: Int32)
    /// The server was started before: a server object serves once.
    case startedBefore
}

extension TransportError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .cannotListen(let address, let carrier, let call, let code):
            let name = carrier == .udp ? "udp" : "tcp"
            return "cannot listen on \(address)/\(name): " + Self.reason(call: call, code: code)
        case .listedTwice(let address):
            return "cannot listen on \(address): it is listed twice; remove one"
        case .noAddress:
            return "no address to listen on; name at least one, for example 0.0.0.0:53"
        case .cannotStartThread(let code):
            return "cannot start a worker thread: \(Self.text(of: code)); use fewer workers"
        case .startedBefore:
            return "this server was started before; make a new one"
        }
    }

    private static func reason(call: String, code: Int32) -> String {
        switch code {
        case EACCES, EPERM:
            "permission denied; ports under 1024 need CAP_NET_BIND_SERVICE"
        case EADDRINUSE:
            "address in use; is another DNS server running?"
        case EADDRNOTAVAIL:
            "no interface of this machine has that address"
        case EAFNOSUPPORT:
            "this machine does not do that address family; is IPv6 switched off?"
        case EMFILE, ENFILE:
            "too many open files; raise the limit (ulimit -n, LimitNOFILE)"
        default:
            "\(call): \(text(of: code))"
        }
    }

    private static func text(of code: Int32) -> String {
        // Safe: strerror always returns a C string.
        unsafe String(cString: strerror(code))
    }
}
