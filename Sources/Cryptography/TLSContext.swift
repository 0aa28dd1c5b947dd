// Whom a TLS client trusts: made once for each set of authorities, shared by all its connections.

internal import COpenSSL
internal import Glibc

/// Why TLS failed, in words a user can act on: `certificate has expired`, `hostname mismatch`.
public struct TLSError: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }

    /// The oldest error of this thread's queue, which is the cause of those after it.
    static func fromQueue(otherwise fallback: String) -> TLSError {
        let code = ERR_get_error()
        defer { ERR_clear_error() }
        // Safe: the reason is a static text of OpenSSL, ended by zero, or null.
        guard code != 0, let reason = unsafe ERR_reason_error_string(code) else {
            return TLSError(fallback)
        }
        return TLSError(unsafe String(cString: reason))
    }
}

/// A client's trusted authorities and protocol limits (TLS 1.2 and above).
@safe public final class TLSContext: Sendable {
    /// Where trust in a server's certificate comes from.
    public enum Trust: Sendable, Hashable {
        /// The authorities that the operating system ships.
        case system
        /// The certificates of a PEM file, and no others.
        case authorities(pem: [UInt8])
        /// Nobody is asked: any certificate passes.
        case unverified

        /// Without the octets of a file, of which there may be many for each connection.
        public func hash(into hasher: inout Hasher) {
            switch self {
            case .system: hasher.combine(0)
            case .authorities(let pem): hasher.combine(pem.count)
            case .unverified: hasher.combine(2)
            }
        }
    }

    public let trust: Trust
    // Safe: an SSL_CTX that nobody configures any more may be used by all threads at once; it is
    // freed only with this object.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// - Parameter protocols: what to offer by ALPN, as `http/1.1`; each of 1 to 255 octets.
    /// - Throws: if the PEM holds no certificate or a broken one, or the system has no store.
    public init(trust: Trust, protocols: [String] = []) throws(TLSError) {
        ERR_clear_error()
        // Safe: SSL_CTX_new returns an owned context or null; deinit frees it once.
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else {
            throw .fromQueue(otherwise: "no TLS context")
        }
        self.trust = trust
        unsafe pointer = context
        guard unsafe copenssl_require_tls12(context) == 1 else {
            throw .fromQueue(otherwise: "TLS 1.2 is not to be had")
        }
        unsafe copenssl_restrict(context)
        let offer = protocols.flatMap { [UInt8(clamping: $0.utf8.count)] + Array($0.utf8) }
        // Safe: OpenSSL copies the list during the call. Zero means success here.
        if !offer.isEmpty,
            unsafe SSL_CTX_set_alpn_protos(context, offer, UInt32(offer.count)) != 0
        {
            throw .fromQueue(otherwise: "ALPN names of 1 to 255 octets only")
        }
        switch trust {
        case .unverified:
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        case .system:
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            guard unsafe SSL_CTX_set_default_verify_paths(context) == 1 else {
                throw .fromQueue(otherwise: "the system's certificate store is not readable")
            }
        case .authorities(let pem):
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            try addAuthorities(pem)
        }
    }

    /// Whether there are authorities where OpenSSL looks for those of the system.
    public static var systemHasAuthorities: Bool {
        // Safe: static texts, or of the environment, which nobody changes here.
        let file = unsafe text(X509_get_default_cert_file_env(), X509_get_default_cert_file())
        let folders = unsafe text(X509_get_default_cert_dir_env(), X509_get_default_cert_dir())
        // Safe: the string is passed terminated.
        if unsafe access(file, R_OK) == 0 { return true }
        return folders.split(separator: ":").contains { folder in
            // Safe: as above; it is open till the end, and an entry used before the next is read.
            guard let directory = unsafe opendir(String(folder)) else { return false }
            defer { unsafe closedir(directory) }
            while let entry = unsafe readdir(directory) {
                if unsafe UInt8(bitPattern: entry.pointee.d_name.0) != UInt8(ascii: ".") {
                    return true
                }
            }
            return false
        }
    }

    /// A variable of the environment, or what holds without it.
    private static func text(
        _ variable: UnsafePointer<CChar>?, _ fallback: UnsafePointer<CChar>?
    ) -> String {
        // Safe: both are texts ended by zero, or null.
        let set = unsafe variable.flatMap { unsafe getenv($0) }.map { unsafe String(cString: $0) }
        return unsafe set ?? fallback.map { unsafe String(cString: $0) } ?? ""
    }

    deinit {
        // Safe: owned since init; connections hold their own reference.
        unsafe SSL_CTX_free(pointer)
    }

    private func addAuthorities(_ pem: [UInt8]) throws(TLSError) {
        // Safe: the memory BIO is written by copy and freed at the end of this function.
        guard let bio = unsafe BIO_new(BIO_s_mem()), pem.count <= Int32.max else {
            throw TLSError("out of memory")
        }
        defer { unsafe BIO_free(bio) }
        unsafe BIO_write(bio, pem, Int32(pem.count))
        var count = 0
        // Safe: each certificate read is owned here; the store takes its own reference.
        while let certificate = unsafe PEM_read_bio_X509(bio, nil, nil, nil) {
            defer { unsafe X509_free(certificate) }
            guard unsafe X509_STORE_add_cert(SSL_CTX_get_cert_store(pointer), certificate) == 1
            else { throw .fromQueue(otherwise: "certificate \(count + 1) is not usable") }
            count += 1
        }
        // A file's end is "no start line"; all else is a broken certificate.
        let isEnd = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
        guard isEnd else { throw .fromQueue(otherwise: "certificate \(count + 1) is broken") }
        ERR_clear_error()
        guard count > 0 else { throw TLSError("no certificate in it (PEM expected)") }
    }
}
