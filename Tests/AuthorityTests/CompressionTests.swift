// The message writer against plain text: whatever names share, a message reads as if nothing had
// been compressed. `TestAnswer` follows only pointers that go backwards.

import DNSWire
import TestSupport
import Testing

/// Names of few labels in many cases, so that suffixes are shared often.
private struct NameMaker {
    var random: SeededRandom

    mutating func name() -> [UInt8] {
        let labels = ["a", "b", "xn--lngr", "example", "com", "a23456789012345678901234567890"]
        var wire: [UInt8] = []
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let label = labels.randomElement(using: &random)!.utf8.map {
                $0 > 0x60 && $0 < 0x7B && Bool.random(using: &random) ? $0 & 0xDF : $0
            }
            wire += [UInt8(label.count)] + label
        }
        return wire + [0]
    }

    /// An RRset's block as `ZoneSet` has it, and its records as text without the owner.
    mutating func block(_ type: RecordType) -> (octets: [UInt8], records: [String]) {
        var octets: [UInt8] = []
        var records: [String] = []
        for _ in 0..<Int.random(in: 1...5, using: &random) {
            var data: [UInt8]
            switch type.nameLayout {
            case .name: data = name()
            case .preferenceThenName: data = [0, 10] + name()
            case .twoNamesThenFixed: data = name() + name() + [UInt8](1...20)
            case .none, .automaticHints:
                data = [4] + (0..<4).map { _ in UInt8.random(in: 0x61...0x7A, using: &random) }
            }
            octets += [0xC0, 0x0C, 0, UInt8(type.code), 0, 1, 0, 0, 1, 0]
            octets += [UInt8(data.count >> 8), UInt8(data.count & 255)] + data
            records.append("256 IN \(type) \(type.presentation(of: data[...]))")
        }
        return (octets, records)
    }
}

/// A question of that name, as a packet that is replied to.
private func packet(_ name: [UInt8]) -> [UInt8] {
    [1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0] + name + [0, 1, 0, 1]
}

@Suite struct CompressionTests {
    @Test("a compressed message reads as an uncompressed one", arguments: UInt64(1)...8)
    func readsTheSame(seed: UInt64) {
        var maker = NameMaker(random: SeededRandom(seed: seed))
        for _ in 0..<500 {
            let question = maker.name()
            let query = packet(question)
            var buffer = NameBuffer()
            #expect(buffer.load(query.span, at: 12) == question.count)
            var space = [UInt8](repeating: 0xAA, count: 4_096)
            var slot = space.mutableSpan
            var writer = MessageWriter(
                unsafe slot.mutableBytes, replyingTo: query.span, questionEnd: query.count,
                limit: 4_096, reserving: 0)
            writer.registerQuestion(buffer)
            var expected: [String] = []
            var uncompressed = query.count
            for _ in 0..<Int.random(in: 1...6, using: &maker.random) {
                let type = [RecordType.ns, .cname, .soa, .mx, .ptr, .txt].randomElement(
                    using: &maker.random)!
                let (block, records) = maker.block(type)
                let owner = Bool.random(using: &maker.random) ? question : maker.name()
                let wasWritten =
                    owner == question
                    ? writer.appendBlock(
                        block.span, from: 0, count: block.count, records: records.count,
                        layout: type.nameLayout, owner: MessageWriter.questionPointer,
                        section: .answer)
                    : writer.appendBlock(
                        block.span, from: 0, count: block.count, records: records.count,
                        layout: type.nameLayout, ownerName: owner.span, from: 0, to: owner.count,
                        section: .answer)
                #expect(wasWritten)
                uncompressed += block.count + records.count * max(0, owner.count - 2)
                expected += records.map { "\(Name.presentation(ofWire: owner)) \($0)" }
            }
            let length = writer.finish(flags: 0x8400, questions: 1)
            let answer = TestAnswer(Array(space.prefix(length)))
            // Letters take the case of what they share (RFC 4343, section 4.1).
            #expect(answer?.answer.map { $0.lowercased() } == expected.map { $0.lowercased() })
            #expect(length <= uncompressed)
        }
    }

    @Test("an RRset that does not fit leaves nothing behind", arguments: UInt64(1)...4)
    func rollsBack(seed: UInt64) {
        var maker = NameMaker(random: SeededRandom(seed: seed))
        for _ in 0..<500 {
            let question = maker.name()
            let query = packet(question)
            var buffer = NameBuffer()
            _ = buffer.load(query.span, at: 12)
            let limit = query.count + Int.random(in: 0...300, using: &maker.random)
            // Beyond the limit nothing is written, not even by an RRset that is taken back.
            var space = [UInt8](repeating: 0xAA, count: limit)
            var slot = space.mutableSpan
            var writer = MessageWriter(
                unsafe slot.mutableBytes, replyingTo: query.span, questionEnd: query.count,
                limit: limit, reserving: 0)
            writer.registerQuestion(buffer)
            var expected: [String] = []
            for _ in 0..<8 {
                let type = [RecordType.ns, .soa, .mx, .txt].randomElement(using: &maker.random)!
                let (block, records) = maker.block(type)
                let owner = maker.name()
                if writer.appendBlock(
                    block.span, from: 0, count: block.count, records: records.count,
                    layout: type.nameLayout, ownerName: owner.span, from: 0, to: owner.count,
                    section: .authority)
                {
                    expected += records.map { "\(Name.presentation(ofWire: owner)) \($0)" }
                }
            }
            let length = writer.finish(flags: 0x8400, questions: 1)
            let answer = TestAnswer(Array(space.prefix(length)))
            #expect(answer?.authority.map { $0.lowercased() } == expected.map { $0.lowercased() })
        }
    }

    @Test(
        "an owner that stands in other records' data reads as what stands there",
        arguments: UInt64(1)...4)
    func ownersInData(seed: UInt64) {
        var maker = NameMaker(random: SeededRandom(seed: seed))
        var pointed = 0
        for _ in 0..<500 {
            let question = maker.name()
            let query = packet(question)
            var buffer = NameBuffer()
            _ = buffer.load(query.span, at: 12)
            let limit = query.count + Int.random(in: 100...1_500, using: &maker.random)
            var space = [UInt8](repeating: 0xAA, count: limit)
            var slot = space.mutableSpan
            var writer = MessageWriter(
                unsafe slot.mutableBytes, replyingTo: query.span, questionEnd: query.count,
                limit: limit, reserving: 0)
            writer.registerQuestion(buffer)
            // All blocks in one place, as in a zone set.
            var arena = [UInt8](repeating: 0, count: Int.random(in: 0...40, using: &maker.random))
            let blocks = (0..<Int.random(in: 1...6, using: &maker.random)).map { _ in
                let type = [RecordType.ns, .mx, .soa].randomElement(using: &maker.random)!
                let (block, records) = maker.block(type)
                arena += block
                return (type, arena.count - block.count..<arena.count, records)
            }
            let address: [UInt8] = [0xC0, 0x0C, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]
            let addressStart = arena.count
            arena += address
            var expected: [String] = []
            for (type, range, records) in blocks {
                // What does not fit may be pointed at all the same.
                if writer.appendBlock(
                    arena.span, from: range.lowerBound, count: range.count,
                    records: records.count, layout: type.nameLayout,
                    owner: MessageWriter.questionPointer, section: .answer)
                {
                    expected += records.map { "\(Name.presentation(ofWire: question)) \($0)" }
                }
                var position = range.lowerBound
                while position < range.upperBound {
                    let end =
                        position + 12 + Int(arena[position + 11]) + Int(arena[position + 10]) << 8
                    let start = position + 12 + (type == .mx ? 2 : 0)
                    position = end
                    var nameEnd = start
                    while arena[nameEnd] != 0 { nameEnd += Int(arena[nameEnd]) + 1 }
                    if writer.appendBlock(
                        arena.span, from: addressStart, count: address.count, records: 1,
                        layout: .none, ownerInData: start..<nameEnd + 1, section: .answer)
                    {
                        let name = Name.presentation(ofWire: Array(arena[start...nameEnd]))
                        expected.append("\(name) 9 IN A 192.0.2.1")
                        pointed += 1
                    }
                }
            }
            let length = writer.finish(flags: 0x8400, questions: 1)
            let answer = TestAnswer(Array(space.prefix(length)))
            #expect(answer?.answer.map { $0.lowercased() } == expected.map { $0.lowercased() })
        }
        #expect(pointed > 1_000)
    }

    @Test("what lies past 16,384 octets is written without pointers to it")
    func farNames() throws {
        let question: [UInt8] = [3, 0x77, 0x77, 0x77, 0]
        let query = packet(question)
        var buffer = NameBuffer()
        #expect(buffer.load(query.span, at: 12) == 5)
        var space = [UInt8](repeating: 0, count: 65_535)
        var slot = space.mutableSpan
        var writer = MessageWriter(
            unsafe slot.mutableBytes, replyingTo: query.span, questionEnd: query.count,
            limit: 65_535, reserving: 0)
        writer.registerQuestion(buffer)
        var expected: [String] = []
        // 1,500 names that share nothing but a label each pair has.
        for number in 0..<1_500 {
            let label = Array("n\(number / 2)".utf8)
            let name = [UInt8(label.count)] + label + [9] + Array("far-label".utf8) + [0]
            let block: [UInt8] = [0xC0, 0x0C, 0, 2, 0, 1, 0, 0, 0, 9, 0, UInt8(name.count)] + name
            let wasWritten = writer.appendBlock(
                block.span, from: 0, count: block.count, records: 1, layout: .name,
                ownerName: question.span, from: 0, to: question.count, section: .answer)
            #expect(wasWritten)
            expected.append("www. 9 IN NS n\(number / 2).far-label.")
        }
        // Nor can an owner's other records point at it: it stands whole before each.
        let owner: [UInt8] = [5, 0x6F, 0x77, 0x6E, 0x65, 0x72, 0]
        let address: [UInt8] = [0xC0, 0x0C, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2]
        let block = address + [1] + address + [2]
        let wasWritten = writer.appendBlock(
            block.span, from: 0, count: block.count, records: 2, layout: .none,
            ownerName: owner.span, from: 0, to: owner.count, section: .answer)
        #expect(wasWritten)
        expected += ["owner. 9 IN A 192.0.2.1", "owner. 9 IN A 192.0.2.2"]
        let length = writer.finish(flags: 0x8400, questions: 1)
        #expect(length > 0x4000)
        #expect(TestAnswer(Array(space.prefix(length)))?.answer == expected)
    }
}
