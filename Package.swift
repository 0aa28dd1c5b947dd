// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target of Rhumb is compiled with: the compiler is the first reviewer.
let reviewed: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableExperimentalFeature("Lifetimes"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]

let package = Package(
    name: "rhumb",
    products: [.executable(name: "rhumb", targets: ["rhumb"])],
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CMaxMindDB", pkgConfig: "libmaxminddb"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl"),
        .target(name: "CLinux"),
        .target(name: "DNSWire", swiftSettings: reviewed),
        .target(
            name: "Settings", dependencies: [.product(name: "Yams", package: "Yams")],
            swiftSettings: reviewed),
        .target(name: "Cryptography", dependencies: ["COpenSSL"], swiftSettings: reviewed),
        .target(name: "Zones", dependencies: ["DNSWire", "Settings"], swiftSettings: reviewed),
        .target(
            name: "Geo", dependencies: ["DNSWire", "Settings", "CMaxMindDB"],
            swiftSettings: reviewed),
        .target(
            name: "Steering", dependencies: ["DNSWire", "Settings", "Geo"], swiftSettings: reviewed),
        .target(
            name: "Health",
            dependencies: [
                "DNSWire", "Settings", "Steering", "Cryptography", "CLinux",
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
            ] + nio,
            swiftSettings: reviewed),
        .target(
            name: "Authority",
            dependencies: ["DNSWire", "Zones", "Steering", "Settings", "Cryptography"],
            swiftSettings: reviewed),
        .target(
            name: "Transport", dependencies: ["DNSWire", "Authority", "CLinux"],
            swiftSettings: reviewed),
        .target(
            name: "Load", dependencies: ["DNSWire", "Settings", "Geo", "CLinux"],
            swiftSettings: reviewed),
        .executableTarget(
            name: "rhumb",
            dependencies: [
                "DNSWire", "Settings", "Zones", "Geo", "Steering", "Health", "Authority",
                "Transport", "Cryptography", "CLinux", "Load",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ] + nio,
            swiftSettings: reviewed),
        .target(
            name: "TestSupport",
            dependencies: ["DNSWire", "Settings", "Zones", "Geo", "Steering", "Authority"],
            path: "Tests/TestSupport", swiftSettings: reviewed),
        .executableTarget(name: "Echo", path: "Tests/Echo"),
        .executableTarget(
            name: "Counts",
            dependencies: ["DNSWire", "Authority", "Cryptography", "TestSupport"],
            path: "Tests/Counts", swiftSettings: reviewed),
        .testTarget(name: "DNSWireTests", dependencies: ["DNSWire"], swiftSettings: reviewed),
        .testTarget(
            name: "SettingsTests", dependencies: ["Settings"], swiftSettings: reviewed),
        .testTarget(
            name: "CryptographyTests", dependencies: ["Cryptography"], swiftSettings: reviewed),
        .testTarget(
            name: "ZonesTests", dependencies: ["DNSWire", "Settings", "Zones", "TestSupport"],
            swiftSettings: reviewed),
        .testTarget(
            name: "GeoTests", dependencies: ["DNSWire", "Settings", "Geo", "CMaxMindDB"],
            swiftSettings: reviewed),
        .testTarget(
            name: "SteeringTests", dependencies: ["DNSWire", "Settings", "Geo", "Steering"],
            swiftSettings: reviewed),
        .testTarget(
            name: "HealthTests",
            dependencies: [
                "DNSWire", "Settings", "Geo", "Steering", "Health", "Cryptography",
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ] + nio,
            swiftSettings: reviewed),
        .testTarget(
            name: "AuthorityTests",
            dependencies: [
                "DNSWire", "Settings", "Zones", "Geo", "Steering", "Authority", "Cryptography",
                "TestSupport",
            ],
            swiftSettings: reviewed),
        .testTarget(
            name: "ScenarioTests",
            dependencies: [
                "DNSWire", "Settings", "Zones", "Geo", "Steering", "Authority", "Transport",
                "Cryptography", "TestSupport",
            ],
            swiftSettings: reviewed),
        .testTarget(
            name: "RhumbTests",
            dependencies: [
                "rhumb", "Settings", "Steering", "Health", "Authority", "Load", "TestSupport",
            ],
            swiftSettings: reviewed),
        .testTarget(
            name: "NearestTests",
            dependencies: [
                "DNSWire", "Settings", "Zones", "Geo", "Steering", "Authority", "CMaxMindDB",
                "TestSupport",
            ],
            swiftSettings: reviewed),
        .testTarget(
            name: "LoadTests",
            dependencies: [
                "DNSWire", "Settings", "Geo", "Authority", "Transport", "Load", "TestSupport",
            ],
            swiftSettings: reviewed),
        .testTarget(
            name: "TransportTests",
            dependencies: [
                "DNSWire", "Settings", "Zones", "Geo", "Steering", "Authority", "Transport",
                "CLinux", "TestSupport",
            ],
            swiftSettings: reviewed),
    ]
)

// The fuzz targets: `scripts/fuzz` builds them with libFuzzer's driver, `swift test` replays their
// seeds. One of the two, as sources belong to one target.
let fuzzTargets: [Target.Dependency] =
    [
        "DNSWire", "Settings", "Zones", "Geo", "Steering", "Health", "Authority", "Transport",
        "Cryptography", "TestSupport", .product(name: "NIOEmbedded", package: "swift-nio"),
    ] + nio
let fuzzData = ["Dictionaries", "Findings", "Seeds", "content.scenario"]
if Context.environment["RHUMB_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "Fuzz", dependencies: fuzzTargets, path: "Tests/Fuzz",
            exclude: fuzzData + ["Replay"], swiftSettings: reviewed))
} else {
    package.targets.append(
        .testTarget(
            name: "FuzzTests", dependencies: fuzzTargets, path: "Tests/Fuzz",
            exclude: fuzzData + ["Driver"], swiftSettings: reviewed))
}

// What `scripts/verify-nearest` runs, built for speed without the tests that need `@testable`.
if Context.environment["RHUMB_VERIFY"] != nil {
    package.targets.removeAll { $0.type == .test && $0.name != "NearestTests" }
}
