// failover: the first pool of the list that can be used. This is the default policy.
//
// ```yaml
// services:
//   web:
//     rules:
//       - policy: failover
//         pools: [main, spare]     # spare answers only while main cannot
// ```

internal import Geo

extension Policy {
    /// The file's order is the order.
    static let failover = Policy(
        name: "failover", entryKeys: [], dependsOnPlace: false, pick: .firstUsable,
        order: { _, _ in [] })
}
