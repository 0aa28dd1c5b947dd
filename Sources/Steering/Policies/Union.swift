// all: one answer carries the addresses of all usable pools; clients choose.
//
// An address that several pools have is answered once. Per family, the pools together may have at
// most `SteeringLimit.addressesPerAnswer` addresses, so that the answer is never truncated.
//
// ```yaml
// services:
//   web:
//     rules:
//       - policy: all
//         pools: [main, spare]
// ```

internal import Geo

extension Policy {
    /// Spelled `all` in files.
    static let union = Policy(
        name: "all", entryKeys: [], dependsOnPlace: false, pick: .union,
        order: { _, _ in [] })
}
