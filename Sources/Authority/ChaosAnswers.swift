// Answers of class CH: who and what this server is (RFC 4892, section 2).

internal import DNSWire

extension Responder {
    /// Answers who and what this server is (RFC 4892, section 2); other names are refused.
    func answerChaos(
        _ writer: inout MessageWriter, _ verdict: inout Verdict, _ snapshot: Snapshot
    ) {
        guard query.type == .txt || query.type == .any else {
            return verdict.refuse(.notSupported)
        }
        let content = snapshot.content
        let asksIdentity =
            query.name.equals(ChaosName.idServer) || query.name.equals(ChaosName.hostnameBind)
        let asksVersion =
            query.name.equals(ChaosName.versionServer) || query.name.equals(ChaosName.versionBind)
        if asksIdentity, content.identity.count > 0 {
            writeText(content.identity, &writer, &verdict)
        } else if asksVersion, content.version.count > 0 {
            writeText(content.version, &writer, &verdict)
        } else {
            verdict.refuse(.notSupported)
        }
    }

    func writeText(
        _ text: [UInt8], _ writer: inout MessageWriter, _ verdict: inout Verdict
    ) {
        verdict.isAuthoritative = true
        verdict.isTruncated = !writer.appendText(text.span, recordClass: 3, ttl: 0)
    }
}

/// Names of class CH that are answered.
private enum ChaosName {
    static let idServer = Name(uncheckedWire: Array("\u{2}id\u{6}server\0".utf8))
    static let hostnameBind = Name(uncheckedWire: Array("\u{8}hostname\u{4}bind\0".utf8))
    static let versionServer = Name(uncheckedWire: Array("\u{7}version\u{6}server\0".utf8))
    static let versionBind = Name(uncheckedWire: Array("\u{7}version\u{4}bind\0".utf8))
}
