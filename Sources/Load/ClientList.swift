// Clients that people name: of a file, to be disclosed as they are, or one alone.

public import DNSWire
public import Settings

/// Why a text names no client, in words that follow the text and a colon.
public struct ClientError: Error, Hashable, Sendable {
    public let explanation: String
}

extension IPNetwork {
    /// Reads a client as people write it: `ADDRESS[/LENGTH]`.
    ///
    /// - Throws: also for a length of 0: who discloses no bit is answered as the resolver itself
    ///   (RFC 7871, section 7.1.2).
    public init(client text: some StringProtocol) throws(ClientError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ IPAddress(String($0)) }) else {
            throw ClientError(
                explanation: "no address or network; write one as 192.0.2.1 or 192.0.2.0/24")
        }
        let bits = Int(address.family.rawValue)
        let digits = parts.count == 1 ? "\(bits)" : String(parts[1])
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(digits),
            let network = IPNetwork(address, length: length)
        else {
            throw ClientError(
                explanation: "the length of an IPv\(bits == 32 ? 4 : 6) network is 1 to \(bits)")
        }
        guard length > 0 else {
            throw ClientError(
                explanation: "who discloses no bit is answered as the resolver itself; give the "
                    + "resolver's address")
        }
        guard network.address == address else {
            throw ClientError(
                explanation: "the bits after the length have to be zero; write \(network)")
        }
        self = network
    }
}

/// The clients of a file.
public enum ClientList {
    private static let format = RowFormat(
        "client", form: "ADDRESS[/LENGTH]", example: "192.0.2.0/24")

    /// Reads clients, rows of `ADDRESS[/LENGTH]`.
    ///
    /// A file without any is an error, as a load then would disclose nothing.
    public static func read(
        _ text: String, file: String, _ diagnostics: inout Diagnostics
    ) -> [IPNetwork] {
        read(text, file: file, atMost: RowFormat.maximumCount, &diagnostics)
    }

    static func read(
        _ text: String, file: String, atMost limit: Int, _ diagnostics: inout Diagnostics
    ) -> [IPNetwork] {
        format.read(text, file: file, atMost: limit, &diagnostics) { row, diagnostics in
            readClient(row, 0, &diagnostics)
        }
    }
}

/// Reads the client that a word of a row names; nil after reporting what is wrong with it.
public func readClient(
    _ row: TextRow, _ index: Int, _ diagnostics: inout Diagnostics
) -> IPNetwork? {
    do {
        return try IPNetwork(client: row.words[index])
    } catch {
        diagnostics.error(
            at: row.position(of: index), "\"\(row.words[index])\": \(error.explanation)")
        return nil
    }
}

/// Reads the domain name that a word of a row is; nil after reporting what is wrong with it.
public func readName(_ row: TextRow, _ index: Int, _ diagnostics: inout Diagnostics) -> Name? {
    do {
        return try Name(row.words[index], origin: .root)
    } catch {
        diagnostics.error(
            at: row.position(of: index), "\"\(row.words[index])\": \(error.explanation)")
        return nil
    }
}
