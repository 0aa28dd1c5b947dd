// Which names an answer takes for one that it holds already: those of the same letters in any case,
// wherever the octets differ. They are compared eight at a time, the last eight once more.

import Testing

@testable import DNSWire

@Suite struct NameCompressionTests {
    /// The pointer to a name in an answer that holds the question's; nil if it takes it for another.
    private func pointer(to name: [UInt8], inAnswerTo question: [UInt8]) throws -> UInt16? {
        let packet = [UInt8](repeating: 0, count: 12) + question + [0, 1, 0, 1]
        var buffer = NameBuffer()
        let end = buffer.load(packet.span, at: 12)
        try #require(end == question.count)
        var message = [UInt8](repeating: 0, count: 512)
        var octets = message.mutableSpan
        // Safe: they outlive the writer.
        var writer = MessageWriter(
            unsafe octets.mutableBytes, replyingTo: packet.span, questionEnd: packet.count,
            limit: 512, reserving: 0)
        writer.registerQuestion(buffer)
        return writer.pointer(to: name.span, from: 0, to: name.count)
    }

    /// Names of every length from 3 octets to 40, of labels of five letters or fewer.
    private static let names: [[UInt8]] = (3...40).map { length in
        var name: [UInt8] = []
        while length - name.count > 1 {
            var label = min(5, length - name.count - 2)
            // What is left has room for a label, or is none.
            if length - name.count - 2 - label == 1 { label -= 1 }
            name.append(UInt8(label))
            for letter in 0..<label { name.append(0x61 + UInt8((name.count + letter) % 26)) }
        }
        return name + [0]
    }

    @Test("a name that differs in one octet, wherever that is, is another")
    func differsAnywhere() throws {
        for name in Self.names {
            #expect(try pointer(to: name, inAnswerTo: name) == 0xC00C)
            for place in name.indices where name[place] > 5 {
                var other = name
                other[place] = name[place] == 0x7A ? 0x79 : 0x7A
                #expect(try pointer(to: other, inAnswerTo: name) == nil, "\(name) at \(place)")
                other[place] = name[place] ^ 0x20
                #expect(try pointer(to: other, inAnswerTo: name) == 0xC00C)
            }
        }
    }

    @Test(
        "names that differ in their last eight octets alone are other names",
        arguments: [
            ("www.example.com.", "www.example.net."), ("www.example.com.", "www.examplf.com."),
            ("a.bcdefgh.", "a.bcdefgi."), ("a.b.c.d.", "a.b.c.e."), ("abcdefg.", "abcdefh."),
            ("long.label.at.the.front.de.", "long.label.at.the.front.fr."),
        ])
    func differsAtTheEnd(one: String, other: String) throws {
        let (one, other) = (try Name(one).wire, try Name(other).wire)
        try #require(one.count == other.count && one.dropLast(8) == other.dropLast(8))
        #expect(try pointer(to: other, inAnswerTo: one) == nil)
        #expect(try pointer(to: one, inAnswerTo: one) == 0xC00C)
        var buffer = NameBuffer()
        let end = buffer.load(one.span, at: 0)
        try #require(end == one.count)
        let isOne = buffer.suffix(from: 0, equals: one.span, at: 0)
        let isOther = buffer.suffix(from: 0, equals: other.span, at: 0)
        #expect(isOne && !isOther)
    }
}
