// The tree in which parts that are alike are one, against a plain dictionary of parts.

import Testing

@testable import Geo

struct TreeBuilderTests {
    private indirect enum Part {
        case leaf(UInt32)
        case halves(Part, Part)

        /// A random tree; what was made before comes again and again, whole.
        static func random(
            levels: Int, _ made: inout [Part], _ random: inout Randomness
        ) -> Part {
            let choice = Int.random(in: 0..<10, using: &random)
            if levels == 0 || choice == 0 { return .leaf(UInt32.random(in: 0..<3, using: &random)) }
            if choice < 4, let known = made.randomElement(using: &random) { return known }
            let left = Part.random(levels: levels - 1, &made, &random)
            let right = Part.random(levels: levels - 1, &made, &random)
            made.append(.halves(left, right))
            return .halves(left, right)
        }

        /// The part in words, equal leaves merged; collects those of all nodes.
        func text(_ nodes: inout Set<String>) -> String {
            switch self {
            case .leaf(let number): return "\(number)"
            case .halves(let left, let right):
                let (left, right) = (left.text(&nodes), right.text(&nodes))
                if left == right, Int(left) != nil { return left }
                nodes.insert("(\(left) \(right))")
                return "(\(left) \(right))"
            }
        }

        func build(_ builder: inout TreeBuilder) throws(CompileFault) -> UInt32 {
            switch self {
            case .leaf(let number): return try BinaryTree.leaf(number)
            case .halves(let left, let right):
                let zero = try left.build(&builder)
                let one = try right.build(&builder)
                return try builder.join(zero, one)
            }
        }
    }

    private func text(_ reference: UInt32, _ tree: BinaryTree) -> String {
        if reference & BinaryTree.leafBit != 0 { return "\(reference & ~BinaryTree.leafBit)" }
        let (left, right) = tree.children(of: reference)
        return "(\(text(left, tree)) \(text(right, tree)))"
    }

    @Test("each distinct part is there once, and the whole is what was joined", arguments: 0..<200)
    func sharing(seed: UInt64) throws {
        var random = Randomness(seed: seed)
        var made: [Part] = []
        let whole = Part.random(levels: 9, &made, &random)
        var builder = TreeBuilder(reserving: 0)
        let root = TreeBuilder.settled(try whole.build(&builder))
        var nodes: Set<String> = []
        let expected = whole.text(&nodes)
        #expect(text(root, builder.tree) == expected)
        #expect(builder.tree.nodes.count == nodes.count)
    }
}
