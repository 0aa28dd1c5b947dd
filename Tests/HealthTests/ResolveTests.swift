import DNSWire
import Foundation
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Health

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

extension Alone {
    struct ResolveTests {
        private func addresses(_ texts: String...) -> HostResolver.LookUp {
            let addresses = texts.compactMap { IPAddress($0) }
            return { _ in .success(addresses) }
        }

        private func found(
            _ yaml: String, _ lookUp: @escaping HostResolver.LookUp
        ) async throws -> String {
            try await probe(monitor(yaml), address: "0.0.0.0", host: "a.test", lookUp: lookUp)
                .outcome.description
        }

        @Test("a host is resolved, and its addresses are tried in order until one connects")
        func order() async throws {
            let server = try await FaultServer(.answer(ok))
            let yaml = "{type: http, port: \(server.port)}"
            #expect(try await found(yaml, addresses("127.0.0.1")) == "status 200")
            #expect(try await found(yaml, addresses("127.0.0.9", "127.0.0.1")) == "status 200")
            #expect(
                try await found(yaml, addresses("127.0.0.9", "127.0.0.8"))
                    == "connect: connection refused (at 127.0.0.8)")
            // What is behind the first connection counts, whatever the others would say.
            let other = try await FaultServer(
                .answer("HTTP/1.1 503 No\r\n\r\n"), host: "127.0.0.9", port: server.port)
            #expect(
                try await found(yaml, addresses("127.0.0.9", "127.0.0.1"))
                    == "status: 503, expected 200-299 (at 127.0.0.9)")
            await server.stop()
            await other.stop()
        }

        @Test("an address that does not answer leaves time for those after it")
        func silentFirst() async throws {
            let full = try FullListener()
            let server = try await FaultServer(.answer(ok), host: "127.0.0.9", port: full.port)
            let yaml = "{type: http, timeout: 3s, port: \(full.port)}"
            #expect(try await found(yaml, addresses("127.0.0.1", "127.0.0.9")) == "status 200")
            #expect(
                try await found(
                    "{type: tcp, timeout: 300ms, port: \(full.port)}", addresses("127.0.0.1"))
                    == "connect: timeout after 300ms while connecting (at 127.0.0.1)")
            await server.stop()
        }

        @Test("that this machine cannot use one address hides no failure of another")
        func ownFaults() async throws {
            // From a loopback address there is no way to the first.
            let yaml = "{type: tcp, port: 1, source: 127.0.0.1}"
            for lookUp in [
                addresses("192.0.2.1", "127.0.0.9"), addresses("127.0.0.9", "192.0.2.1"),
            ] {
                #expect(
                    try await found(yaml, lookUp)
                        == "connect: connection refused (at 127.0.0.9)")
            }
            let text = try await found(yaml, addresses("192.0.2.1", "198.51.100.1"))
            #expect(text.hasPrefix("not probed: "), "\(text)")
        }

        @Test(
            "a name without an address fails in the step of its own, and what is our fault does not"
        )
        func faults() async throws {
            #expect(
                try await found("{type: tcp, port: 1}") {
                    .failure(ResolverFault(description: "\($0) has no address"))
                } == "resolve: a.test has no address")
            #expect(
                try await found("{type: tcp, port: 1}") { _ in
                    .failure(ResolverFault(description: "too many open files", isOwn: true))
                } == "not probed: too many open files")
            // Whatever the resolver of this machine makes of it.
            let result = try await probe(
                monitor("{type: tcp, port: 1}"), address: "0.0.0.0", host: "rhumb.invalid")
            #expect(result.outcome.description.hasPrefix("resolve: "), "\(result.outcome)")
        }

        @Test("a resolver that hangs ends at the deadline, and holds nothing up")
        func hanging() async throws {
            let result = try await probe(
                monitor("{type: tcp, port: 1, timeout: 200ms}"), address: "0.0.0.0",
                host: "a.test"
            ) { _ in
                sleep(20)
                return .success([])
            }
            #expect(
                result.outcome.description
                    == "resolve: timeout after 200ms while resolving the host")
            #expect(result.whole < .seconds(15))
        }

        @Test("probes share a lookup, and few are under way at a time")
        func shared() async throws {
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let counts = Mutex((all: 0, now: 0, most: 0))
            let resolver: HostResolver.LookUp = { host in
                counts.withLock {
                    $0.all += 1
                    $0.now += 1
                    $0.most = max($0.most, $0.now)
                }
                usleep(20_000)
                counts.withLock { $0.now -= 1 }
                return .failure(ResolverFault(description: host))
            }
            let tcp = try monitor("{type: tcp, port: 1, timeout: 10s}")
            let texts = try await loop.flatSubmit {
                let trust = TrustCache(resolver: HostResolver(lookUp: resolver))
                let all = loop.makePromise(of: [String].self)
                var texts: [String] = []
                for number in 0..<90 {
                    let attempt = ProbeAttempt(
                        ProbeAttempt.unresolved, host: "host-\(number % 30)",
                        timeout: tcp.timeout, loop: loop, trust: trust,
                        decide: { outcome, _ in texts.append("\(outcome)") },
                        end: { if texts.count == 90 { all.succeed(texts) } })
                    attempt.run(tcp.probe)
                }
                return all.futureResult
            }.get()
            #expect(Set(texts).count == 30)
            let seen = counts.withLock { $0 }
            #expect(seen.all == 30 && seen.most <= 8)
        }

        @Test("types that ask no address resolve none")
        func noAddress() async throws {
            let text = try await found("{type: file, path: /nowhere/results}") {
                .failure(ResolverFault(description: $0))
            }
            #expect(text == "not probed: /nowhere/results: no such file or directory")
        }
    }

    struct StandstillTests {
        @Test("a machine that stood still blames nobody for it")
        func standstill() async throws {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let loop = group.next()
            let server = try await FaultServer(.stall)
            let yaml = "{type: http, timeout: 300ms, port: \(server.port)}"
            let quiet = try await probe(monitor(yaml), on: loop)
            #expect(
                quiet.outcome
                    == .failed(.status, "timeout after 300ms while waiting for the status"))
            loop.scheduleTask(in: .milliseconds(100)) { usleep(1_500_000) }
            let text = try await probe(monitor(yaml), on: loop).outcome.description
            #expect(
                text.hasPrefix(
                    "not probed: timeout after 300ms while waiting for the status, but this "
                        + "machine stood still for 1"), "\(text)")
            await server.stop()
            try await group.shutdownGracefully()
        }

        @Test("waiting takes no processor time, whatever the other side does")
        func spin() async throws {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let loop = group.next()
            let used: @Sendable () -> Double = {
                var time = timespec()
                // Safe: the call fills a value of ours.
                unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
                return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
            }
            for behaviour in [FaultServer.Behaviour.close, .stall, .answerAndHold("HTTP/1.1 2")] {
                let server = try await FaultServer(behaviour)
                let before = try await loop.submit(used).get()
                for type in ["http", "grpc", "websocket", "tls, insecure: true"] {
                    _ = try await probe(
                        monitor("{type: \(type), timeout: 700ms, port: \(server.port)}"), on: loop)
                }
                let after = try await loop.submit(used).get()
                // A spin would take all of the 700 ms, of each of the four.
                #expect(after - before < 0.6, "\(behaviour)")
                await server.stop()
            }
            try await group.shutdownGracefully()
        }

        @Test("no end of a probe leaves a descriptor behind")
        func descriptors() async throws {
            let open = {
                (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count ?? 0
            }
            let before = open()
            for behaviour in [
                FaultServer.Behaviour.close, .reset, .resetOnRequest, .answer("x"), .stall,
                .drip("HTTP/1.1 200 OK\r\n", every: .milliseconds(5)),
                .endless("", String(repeating: "x", count: 1_000)),
            ] {
                for row in ProbeRow.streams {
                    for _ in 0..<2 {
                        _ = try await outcome(
                            "type: \(row.settings), timeout: 100ms", against: behaviour)
                    }
                }
            }
            // Other tests may have some open right now, but not so many.
            #expect(open() - before < 60)
        }
    }
}
