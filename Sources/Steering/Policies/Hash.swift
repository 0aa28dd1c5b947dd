// hash: every client prefix, IPv4's /24 or IPv6's /56, keeps its pool for as long as that can be used.
//
// Weighted rendezvous hashing (Thaler and Ravishankar 1998; the logarithm for weights as in
// draft-ietf-bess-weighted-hrw): each pool draws a number for each prefix, from its own name, and the
// best draw wins. A pool that goes takes its own clients with it and moves no others; one that comes
// takes its share from all. Every server of the same names and weights decides alike.
//
// ```yaml
// services:
//   web:
//     rules:
//       - policy: hash
//         pools: [{ pool: main, weight: 3 }, spare]
// ```

internal import Geo

extension Policy {
    static let hash = Policy(
        name: "hash", entryKeys: ["weight"], dependsOnPlace: false, pick: .byHash,
        order: { _, _ in [] })
}
