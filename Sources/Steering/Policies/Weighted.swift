// weighted: every query draws one of the usable pools, in proportion to their weights.
//
// A weight is 0 to 65535 and 1 if not stated. A pool of weight 0 is drawn only while all usable
// pools have weight 0: it drains without leaving clients without an answer. Weights are a statement
// about answers, not users: resolvers keep an answer for its TTL and share it.
//
// ```yaml
// services:
//   web:
//     rules:
//       - policy: weighted
//         pools: [{ pool: main, weight: 9 }, { pool: spare, weight: 1 }]
// ```

internal import Geo

extension Policy {
    static let weighted = Policy(
        name: "weighted", entryKeys: ["weight"], dependsOnPlace: false, pick: .byWeight,
        order: { _, _ in [] })
}
