// What only shows when all zones stand together: names that records point at, looked up as a
// resolver would. Findings are warnings: each zone is sound by itself.

import DNSWire
import Settings

extension ZoneSet {
    /// How many CNAMEs a chain may have without a warning: resolvers give up somewhere above.
    static let maximumChain = 8

    /// Warns about NS, MX and CNAME records whose targets lead nowhere.
    func warnAboutTargets(_ sources: [ZoneSource], _ diagnostics: inout Diagnostics) {
        var buffer = NameBuffer()
        for source in sources {
            for record in source.records {
                guard case .data(let type, let data) = record.content else { continue }
                switch type {
                case .ns: checkHost(data, record, type, &buffer, &diagnostics)
                case .mx: checkHost(Array(data.dropFirst(2)), record, type, &buffer, &diagnostics)
                case .cname: checkChain(record, &buffer, &diagnostics)
                default: break
                }
            }
        }
    }

    /// A name server's or mail host's name has addresses and is no alias (RFC 2181, section 10.3).
    private func checkHost(
        _ target: [UInt8], _ record: ZoneRecord, _ type: RecordType, _ buffer: inout NameBuffer,
        _ diagnostics: inout Diagnostics
    ) {
        // "." as a mail host says that there is none (RFC 7505).
        guard target.count > 1, buffer.load(target.span, at: 0) != nil else { return }
        let a = lookup(buffer, type: .a).outcome
        let name = Name.presentation(ofWire: target)
        switch a {
        case .cname:
            diagnostics.warning(
                at: record.position,
                "\(type) points at \(name), which is an alias (CNAME); many refuse that, so name "
                    + "the alias's target (RFC 2181, section 10.3)")
        case .nxdomain:
            diagnostics.warning(
                at: record.position,
                "\(type) points at \(name), which does not exist; add its A or AAAA record, or "
                    + "check the final dot")
        case .nodata where lookup(buffer, type: .aaaa).outcome == .nodata:
            diagnostics.warning(
                at: record.position,
                "\(type) points at \(name), which has no A or AAAA record; add one")
        default: break
        }
    }

    /// A chain of CNAMEs ends, and soon.
    private func checkChain(
        _ record: ZoneRecord, _ buffer: inout NameBuffer, _ diagnostics: inout Diagnostics
    ) {
        guard buffer.load(record.owner.wire.span, at: 0) != nil else { return }
        var visited: [Int32] = []
        while visited.count <= Self.maximumChain {
            let found = lookup(buffer, type: .a)
            guard found.outcome == .cname else { return }
            if let start = visited.firstIndex(of: found.rrset) {
                // Each loop is told once: at the first of its records that was compiled.
                guard visited[start...].min() == visited.first else { return }
                diagnostics.warning(
                    at: record.position,
                    "the CNAME of \(record.owner) leads back to itself"
                        + (visited.count > 1 ? " over \(visited.count - 1) others" : "")
                        + "; point one of them at a name with addresses")
                return
            }
            visited.append(found.rrset)
            let target = rrset(found.rrset).blockStart + ZoneTree.recordHeader
            guard buffer.load(octets, at: target) != nil else { return }
        }
        diagnostics.warning(
            at: record.position,
            "the CNAME of \(record.owner) begins a chain of more than \(Self.maximumChain), which "
                + "resolvers may not follow; point it nearer to the end")
    }
}
