// The client's side of a TLS connection as a machine without sockets: ciphertext in, ciphertext out.
//
// The owner moves octets between this and its transport. Nothing here waits, and what it holds is
// bounded by what was fed to it; it belongs to one thread at a time.

internal import COpenSSL
internal import Glibc

/// One TLS connection, seen from the client.
///
/// Call `handshake()` until it returns true, feeding what the server sends and sending what
/// `takeCiphertext()` returns after every call; then `read()`, `write(_:)` and `close()`.
@safe public struct TLSClient: ~Copyable {
    /// Whom the server's certificate has to be for.
    public enum Peer: Sendable, Hashable {
        /// A host by its name; sent as SNI too.
        case host(String)
        /// An address in its text form or network-order octets; never sent as SNI (RFC 6066, section 3).
        case address([UInt8])
    }

    /// What `read()` found.
    public enum Reading: Sendable, Hashable {
        case data([UInt8])
        /// All that was fed is used up.
        case needsMore
        /// The server ended the connection in order (close_notify).
        case closed
    }

    /// The plaintext of one TLS record (RFC 8446, section 5.1), the most one `read()` returns.
    private static let recordLength = 16_384

    // Safe: owned since init and freed in deinit; the BIOs belong to it.
    private let ssl: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer

    /// - Parameter peer: nil sends no SNI and, with verification, accepts any name: for
    ///   `Trust.unverified` only.
    public init(_ context: TLSContext, peer: Peer?) throws(TLSError) {
        precondition(
            peer != nil || context.trust == .unverified,
            "a verified connection needs to know whom the certificate is for")
        ERR_clear_error()
        // Safe: each pointer is checked for null and owned as told above.
        guard let ssl = unsafe SSL_new(context.pointer) else {
            throw .fromQueue(otherwise: "out of memory")
        }
        guard let incoming = unsafe BIO_new(BIO_s_mem()), let outgoing = unsafe BIO_new(BIO_s_mem())
        else {
            unsafe SSL_free(ssl)
            throw TLSError("out of memory")
        }
        unsafe SSL_set_bio(ssl, incoming, outgoing)
        unsafe SSL_set_connect_state(ssl)
        guard unsafe Self.expect(peer, of: ssl, verifying: context.trust != .unverified) else {
            unsafe SSL_free(ssl)
            throw .fromQueue(otherwise: "not a name or address that a certificate can be for")
        }
        unsafe self.ssl = ssl
        unsafe self.incoming = incoming
        unsafe self.outgoing = outgoing
    }

    deinit {
        // Safe: frees both BIOs with it, once.
        unsafe SSL_free(ssl)
    }

    /// Sets SNI and the name to verify; false if OpenSSL takes it for no name.
    private static func expect(_ peer: Peer?, of ssl: OpaquePointer, verifying: Bool) -> Bool {
        // Safe: names and octets are copied by OpenSSL during the calls; `ssl` lives through them.
        switch peer {
        case .host(let name):
            guard unsafe copenssl_set_server_name(ssl, name) == 1 else { return false }
            guard verifying else { return true }
            // A subject's common name is no name to go by (RFC 9110, section 4.3.4).
            unsafe SSL_set_hostflags(
                ssl,
                UInt32(
                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT))
            return unsafe SSL_set1_host(ssl, name) == 1
        case .address(let octets):
            guard verifying else { return true }
            return unsafe X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), octets, octets.count) == 1
        case nil:
            return true
        }
    }

    // MARK: - Ciphertext

    /// Takes what the server sent.
    public mutating func feed(_ ciphertext: [UInt8]) {
        precondition(ciphertext.count <= Int32.max, "fed at most 2 GiB at a time")
        // Safe: a memory BIO copies all of it.
        unsafe BIO_write(incoming, ciphertext, Int32(ciphertext.count))
    }

    /// Returns what is to be sent to the server, which may be nothing.
    public mutating func takeCiphertext() -> [UInt8] {
        // Safe: the BIO says how much it holds, and writes no more than it is given room for.
        let count = unsafe BIO_ctrl_pending(outgoing)
        guard count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, length in
            length = unsafe max(0, Int(BIO_read(outgoing, buffer.baseAddress, Int32(count))))
        }
    }

    // MARK: - Plaintext

    /// When a certificate ends, and the subject's common name if it is an authority's.
    public struct CertificateEnd: Sendable, Hashable {
        /// Since 1970.
        public var seconds: Int64
        /// Nil for the server's own certificate.
        public var authority: String?
    }

    /// The first end of the server's certificate and of those it was verified by; nil before it is known.
    ///
    /// One above it counts where it ends a day sooner or more. Without verification, only the server's
    /// own does: anything may stand above it.
    public var certificateEnd: CertificateEnd? {
        // Safe: the certificate is owned here until the end of this function.
        guard let certificate = unsafe SSL_get1_peer_certificate(ssl) else { return nil }
        defer { unsafe X509_free(certificate) }
        guard var first = unsafe Self.end(of: certificate).map({ CertificateEnd(seconds: $0) })
        else { return nil }
        // Safe: the chain and what is in it belong to the connection, which outlives the loop.
        guard unsafe SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE,
            let chain = unsafe SSL_get0_verified_chain(ssl)
        else { return first }
        for index in 1..<max(1, unsafe OPENSSL_sk_num(chain)) {
            // Safe: below the count, so that it is a certificate.
            guard let above = unsafe OPENSSL_sk_value(chain, index).map({ OpaquePointer($0) }),
                let end = unsafe Self.end(of: above), end <= first.seconds - 86_400
            else { continue }
            first = unsafe CertificateEnd(seconds: end, authority: Self.commonName(of: above))
        }
        return first
    }

    private static func commonName(of certificate: OpaquePointer) -> String {
        var text = [CChar](repeating: 0, count: 65)
        // Safe: the name belongs to the certificate; the text is ended by zero within its length.
        let length = unsafe X509_NAME_get_text_by_NID(
            X509_get_subject_name(certificate), NID_commonName, &text, Int32(text.count))
        let octets = text.prefix(max(0, Int(length))).map { UInt8(bitPattern: $0) }
        return String(decoding: octets, as: UTF8.self)
    }

    private static func end(of certificate: OpaquePointer) -> Int64? {
        // Safe: all zero, without a time zone.
        var end = unsafe tm()
        // Safe: the time belongs to the certificate, and `end` is filled during the call.
        guard unsafe ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 else {
            return nil
        }
        return Int64(unsafe timegm(&end))
    }

    /// Goes on with the handshake; true when it is done and the certificate verified.
    public mutating func handshake() throws(TLSError) -> Bool {
        ERR_clear_error()
        let result = unsafe SSL_do_handshake(ssl)
        if result == 1 { return true }
        guard unsafe SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ else { throw failure() }
        return false
    }

    public mutating func read() throws(TLSError) -> Reading {
        ERR_clear_error()
        var result: Int32 = 0
        // Safe: SSL_read writes at most the capacity, and returns how much it wrote.
        let data = unsafe [UInt8](unsafeUninitializedCapacity: Self.recordLength) { buffer, count in
            result = unsafe SSL_read(ssl, buffer.baseAddress, Int32(Self.recordLength))
            count = max(0, Int(result))
        }
        if result > 0 { return .data(data) }
        switch unsafe SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .needsMore
        case SSL_ERROR_ZERO_RETURN: return .closed
        default: throw failure()
        }
    }

    /// Encrypts `plaintext`; only after the handshake.
    public mutating func write(_ plaintext: [UInt8]) throws(TLSError) {
        guard !plaintext.isEmpty else { return }
        precondition(plaintext.count <= Int32.max, "written at most 2 GiB at a time")
        ERR_clear_error()
        // Safe: the array outlives the call. A memory BIO takes all, so nothing is left over.
        guard unsafe SSL_write(ssl, plaintext, Int32(plaintext.count)) == plaintext.count else {
            throw failure()
        }
    }

    /// Says goodbye (close_notify); what is to be sent is in `takeCiphertext()`.
    public mutating func close() {
        ERR_clear_error()
        // Safe: an error leaves nothing to send, which is all that matters here.
        if unsafe SSL_is_init_finished(ssl) == 1 { unsafe SSL_shutdown(ssl) }
        ERR_clear_error()
    }

    /// The reason of the call that just failed: that of the certificate before that of the protocol.
    private func failure() -> TLSError {
        // Safe: `ssl` is owned; the text is static and ended by zero.
        let verification = unsafe SSL_get_verify_result(ssl)
        if verification != X509_V_OK, unsafe SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE {
            ERR_clear_error()
            return unsafe TLSError(String(cString: X509_verify_cert_error_string(verification)))
        }
        let reason = TLSError.fromQueue(otherwise: "the connection broke off")
        // What a server that speaks something else, as plain HTTP, comes out as.
        let isForeign = ["wrong version number", "packet length too long"].contains(
            reason.description)
        return isForeign ? TLSError("the server does not speak TLS (\(reason))") : reason
    }
}
