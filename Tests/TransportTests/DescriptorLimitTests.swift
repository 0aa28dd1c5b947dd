// TCP clients never get all of the process's descriptors.

import Glibc
import Testing

@testable import Transport

@Suite struct DescriptorLimitTests {
    @Test(
        "connections leave descriptors for all else",
        arguments: [
            // wanted, descriptors, granted
            (1_024, 1_024, 768), (64, 1_024, 64), (1_024, 1_280, 1_024), (1_024, 1_279, 1_023),
            (1_024, 512, 256), (1_024, 300, 150), (1_024, 2, 1), (1_024, 0, 1), (1_024, -5, 1),
            (1_000_000, .max, 1_000_000),
        ])
    func connections(wanted: Int, descriptors: Int, granted: Int) {
        #expect(
            DescriptorLimit.connections(wanted: wanted, descriptors: descriptors) == granted)
    }

    @Test("the limit is raised to what the system allows")
    func raise() async {
        await #expect(processExitsWith: .success) {
            var low = rlimit(rlim_cur: 64, rlim_max: 128)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
            try #require(unsafe setrlimit(resource, &low) == 0)
            #expect(DescriptorLimit.raise() == 128)
            try #require(unsafe getrlimit(resource, &low) == 0)
            #expect(low.rlim_cur == 128)
        }
    }
}
