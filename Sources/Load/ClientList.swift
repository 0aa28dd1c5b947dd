// Clients that a file names, to be disclosed as they are.

public import DNSWire
public import Settings

/// The clients of a file.
public enum ClientList {
    /// Reads clients line by line: `ADDRESS[/LENGTH]`; what follows a `#` is a comment.
    ///
    /// A file without any is an error, as a load then would disclose nothing.
    public static func read(
        _ text: String, file: String, _ diagnostics: inout Diagnostics
    ) -> [IPNetwork] {
        read(text, file: file, atMost: QueryList.maximumCount, &diagnostics)
    }

    static func read(
        _ text: String, file: String, atMost limit: Int, _ diagnostics: inout Diagnostics
    ) -> [IPNetwork] {
        var clients: [IPNetwork] = []
        var isFaulty = false
        // CR and LF together are one character.
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            let words = line.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" }
            guard let first = words.first else { continue }
            let position = SourcePosition(file: file, line: index + 1, column: 1)
            guard clients.count < limit else {
                diagnostics.error(at: position, "more than \(limit) clients; leave some out")
                return clients
            }
            // Who discloses no bit is answered as the resolver itself (RFC 7871, section 7.1.2).
            guard words.count == 1, let network = IPNetwork(String(first)), network.length > 0
            else {
                isFaulty = true
                diagnostics.error(
                    at: position,
                    "a client is ADDRESS[/LENGTH], as 192.0.2.1 or 192.0.2.0/24, the bits after the "
                        + "length zero; write one a line")
                continue
            }
            clients.append(network)
        }
        if clients.isEmpty, !isFaulty {
            diagnostics.error(
                at: SourcePosition(file: file),
                "no clients in it; write one a line, as 192.0.2.0/24")
        }
        return clients
    }
}
