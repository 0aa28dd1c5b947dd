// What probes read from the network, by readers of our own: an octet for the reader, one for the length
// of the pieces that a stream comes in, and the octets of a server (for patterns, a line with the
// pattern before them).

import Cryptography
import DNSWire
import NIOCore
import NIOEmbedded
import Settings

@testable import Health

extension FuzzTarget {
    static let probes = FuzzTarget(name: "probes", maximumLength: 2_048) {
        let http = try probe("{type: http, expect: {matches: '(o|k)+$', headers: {A: b}}}")
        let plain = try probe("{type: http, redirects: 1, expect: {body: ok}}")
        let socket = try probe("{type: websocket, ping: true}")
        let question = DNSQuestion(
            name: try Name("a.test", origin: .root), type: .mx, wantsRecursion: false)
        return { octets in
            var input = FuzzInput(octets)
            let (reader, length) = (input.octet() % 8, Int(input.octet()) + 1)
            let said = Array(input.rest)
            switch reader {
            case 0: return frameFault(said, length)
            case 1: return replyFault(said, length)
            case 2: return answerFault(said, to: question)
            case 3: return decisionFault(http, said, length)
            case 4: return decisionFault(plain, said, length)
            case 5: return decisionFault(socket, said, length)
            case 6: return patternFault(said, length)
            default:
                _ = GRPCProbe.status(in: said)
                _ = try? FileResults(said, written: Timestamp(nanoseconds: 0))
                return nil
            }
        }
    }
}

private func probe(_ yaml: String) throws -> any Probe {
    var diagnostics = Diagnostics()
    guard let value = parseSettings(yaml, file: "f", diagnostics: &diagnostics),
        let monitor = Monitor(name: "m", value, &diagnostics)
    else { preconditionFailure("\(diagnostics.sorted)") }
    return monitor.probe
}

/// A stream in pieces of a length.
private func pieces(_ octets: [UInt8], _ length: Int) -> [ArraySlice<UInt8>] {
    stride(from: 0, to: octets.count, by: length).map {
        octets[$0..<min($0 + length, octets.count)]
    }
}

// MARK: - Readers

private func frameFault(_ octets: [UInt8], _ length: Int) -> String? {
    let read = { (length: Int) -> ([WebSocketReader.Frame], String?) in
        var reader = WebSocketReader()
        var frames: [WebSocketReader.Frame] = []
        for piece in pieces(octets, length) {
            reader.feed(piece)
            do throws(WebSocketReader.Fault) {
                while let frame = try reader.next() { frames.append(frame) }
            } catch {
                return (frames, error.description)
            }
        }
        return (frames, nil)
    }
    let (whole, inPieces) = (read(.max >> 1), read(length))
    guard whole == inPieces else { return "frames depend on the pieces: \(whole), \(inPieces)" }
    let isBounded = whole.0.allSatisfy { $0.payload.count <= WebSocketReader.controlLimit }
    return isBounded ? nil : "a payload is too long"
}

private func replyFault(_ octets: [UInt8], _ length: Int) -> String? {
    let read = { (length: Int) -> ([SMTPReader.Reply], String?) in
        var reader = SMTPReader()
        var replies: [SMTPReader.Reply] = []
        for piece in pieces(octets, length) {
            reader.feed(piece)
            do throws(SMTPReader.Fault) {
                while let reply = try reader.next() { replies.append(reply) }
            } catch {
                return (replies, error.description)
            }
        }
        return (replies, nil)
    }
    let (whole, inPieces) = (read(.max >> 1), read(length))
    guard whole == inPieces else { return "replies depend on the pieces: \(whole), \(inPieces)" }
    let isBounded = whole.0.allSatisfy {
        (200...599).contains($0.code) && (1...SMTPReader.lineCount).contains($0.lines.count)
    }
    return isBounded ? nil : "a reply is none"
}

private func answerFault(_ octets: [UInt8], to question: DNSQuestion) -> String? {
    // As if the id were right, so that more gets past it.
    let id = octets.count > 1 ? UInt16(octets[0]) << 8 | UInt16(octets[1]) : 0
    guard question.isAnswered(by: octets, id: id) else { return nil }
    guard let answer = DNSAnswer(octets, to: question) else { return nil }
    // Each record has 11 octets at the least.
    return answer.data.count <= octets.count / 11 ? nil : "more records than there is room for"
}

// MARK: - Handlers

/// Gives a probe's handlers what a server says; they have to decide once, at its end at the latest.
private func decisionFault(_ probe: any Probe, _ octets: [UInt8], _ length: Int) -> String? {
    let channel = EmbeddedChannel()
    var decisions: [String] = []
    let attempt = ProbeAttempt(
        IPAddress(ipv4: 0x7F00_0001), timeout: .seconds(2), loop: channel.embeddedEventLoop,
        trust: TrustCache(), decide: { outcome, _ in decisions.append("\(outcome)") }, end: {})
    var follows = 0
    let handlers: [any ChannelHandler]
    if let http = probe as? HTTPProbe {
        let judge = HTTPJudge(http.exchange, attempt, scheme: "http") { _ in
            follows += 1
            attempt.pass("redirected")
        }
        handlers = http.exchange.handlers(judge)
    } else if let socket = probe as? WebSocketProbe {
        handlers = socket.handlers(attempt)
    } else {
        return "no such probe"
    }
    try? channel.pipeline.syncOperations.addHandlers(handlers)
    channel.pipeline.fireChannelActive()
    for piece in pieces(answering(channel, octets), length) {
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: piece))
        channel.embeddedEventLoop.run()
    }
    channel.pipeline.fireChannelInactive()
    channel.embeddedEventLoop.run()
    attempt.cancel()
    _ = try? channel.finish(acceptAlreadyClosed: true)
    guard decisions.count == 1, follows <= 1 else { return "\(decisions.count) decisions" }
    // One line of a log.
    let isLine = decisions[0].unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
    return isLine && decisions[0].utf8.count < 2_000 ? nil : "what is said is no line"
}

/// The octets with `@@@@` as the key that a server accepts a websocket with.
private func answering(_ channel: EmbeddedChannel, _ octets: [UInt8]) -> [UInt8] {
    var request = ""
    while let data = (try? channel.readOutbound(as: IOData.self)) ?? nil,
        case .byteBuffer(let buffer) = data
    {
        request += String(decoding: buffer.readableBytesView, as: UTF8.self)
    }
    let field = "Sec-WebSocket-Key: "
    guard let start = request.firstRange(of: field)?.upperBound else { return octets }
    let key = WebSocketProbe.accept(forKey: String(request[start...].prefix(24)))
    return octets.replacing(Array("@@@@".utf8), with: Array(key.utf8), maxReplacements: 1)
}

// MARK: - Patterns

/// What the search says otherwise than a walk over the program without a table.
private func patternFault(_ octets: [UInt8], _ length: Int) -> String? {
    let line = octets.prefix { $0 != 10 }.prefix(200)
    let text = Array(octets.dropFirst(line.count + 1))
    guard let words = String(validating: line, as: UTF8.self), !words.isEmpty else { return nil }
    let pattern: Pattern
    do throws(PatternError) {
        pattern = try Pattern(words)
    } catch {
        return error.description.isEmpty ? "a fault without words" : nil
    }
    guard pattern.program.count <= Pattern.largestProgram else { return "too long a program" }
    var search = ContentSearch(ContentExpectation(pattern: pattern, limit: 1 << 16))
    for piece in pieces(text, length) { _ = search.feed(piece) }
    let isFound = search.finish()
    guard !search.isTooCostly else { return nil }
    return isFound == walk(pattern.program, text) ? nil : "found: \(isFound), by itself not"
}

private func walk(_ program: [Pattern.Step], _ text: [UInt8]) -> Bool {
    var places: Set<Int> = []
    for index in 0...text.count {
        var waiting = Array(places) + [0]
        places = []
        while let place = waiting.popLast() {
            guard places.insert(place).inserted else { continue }
            switch program[place] {
            case .jump(let next): waiting.append(next)
            case .split(let a, let b): waiting += [a, b]
            case .begin: if index == 0 { waiting.append(place + 1) }
            case .end: if index == text.count { waiting.append(place + 1) }
            case .match: return true
            case .octet: break
            }
        }
        guard index < text.count else { return false }
        places = Set(
            places.compactMap { place in
                if case .octet(let set) = program[place], set.contains(text[index]) {
                    return place + 1
                }
                return nil
            })
    }
    return false
}
