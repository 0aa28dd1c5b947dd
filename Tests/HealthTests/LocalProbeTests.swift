// Probes that ask this machine: programs, files, and the kernel's echo.

import DNSWire
import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Health

extension Alone {
    struct CommandProbeTests {
        private func found(
            _ words: [String], _ keys: String = "timeout: 5s"
        ) async throws -> (text: String, whole: Duration) {
            let list = words.map { "'\($0.replacing("'", with: "''"))'" }.joined(separator: ", ")
            let result = try await probe(monitor("{type: command, \(keys), command: [\(list)]}"))
            return (result.outcome.description, result.whole)
        }

        private func shell(_ script: String, _ keys: String = "timeout: 5s") async throws -> String
        {
            try await found(["/bin/sh", "-c", script], keys).text
        }

        @Test("a program's exit status decides, and its first line is the reason")
        func status() async throws {
            #expect(try await found(["/bin/true"]).text == "exit status 0")
            #expect(try await found(["/bin/false"]).text == "status: exit status 1")
            #expect(
                try await shell("echo all is well; echo not this") == "exit status 0: all is well")
            #expect(try await shell("echo no >&2; exit 3") == "status: exit status 3: no")
            #expect(try await shell("kill -TERM $$") == "not probed: killed by signal 15")
            #expect(
                try await shell("printf 'a\\033[31mb\\tc'; exit 2")
                    == "status: exit status 2: a [31mb c")
            #expect(
                try await shell("head -c 5000 /dev/zero | tr '\\0' x")
                    == "exit status 0: " + String(repeating: "x", count: 200))
        }

        @Test("arguments are words, not a shell's, and the surroundings are small")
        func surroundings() async throws {
            #expect(
                try await found(["/bin/echo", "{address}", "$HOME", "a;b"]).text
                    == "exit status 0: 127.0.0.1 $HOME a;b")
            #expect(
                try await shell("echo $(pwd) $(env | cut -d= -f1 | sort | tr '\\n' ' ')")
                    == "exit status 0: / LANG PATH PWD RHUMB_ADDRESS RHUMB_ORIGIN")
            let bound = try monitor("{type: command, command: [/bin/sh, -c, 'echo $RHUMB_ORIGIN']}")
                .bound(toOrigin: "frankfurt/fra-1")
            #expect(
                try await probe(bound).outcome.description == "exit status 0: frankfurt/fra-1")
            // Nothing to read, nothing of ours left open; ls has the directory open itself.
            #expect(
                try await shell("cat; echo $(ls /proc/self/fd)") == "exit status 0: 0 1 2 3")
        }

        @Test("at the timeout a program is killed with all it has started")
        func timeout() async throws {
            let directory = try TemporaryDirectory()
            let slow = try await found(
                ["/bin/sh", "-c", "sleep 60 & echo $! > \(directory.path)/pid; wait"],
                "timeout: 300ms")
            #expect(slow.text == "status: timeout after 300ms while running /bin/sh")
            #expect(slow.whole < .seconds(3))
            let text = try String(decoding: directory.read("pid"), as: UTF8.self)
            let child = try #require(Int32(text.trimmingCharacters(in: .newlines)))
            try await gone(child)
        }

        @Test("one that ends leaves nothing behind, and is not waited for through its children")
        func children() async throws {
            let directory = try TemporaryDirectory()
            let ended = try await found(
                ["/bin/sh", "-c", "sleep 60 & echo $! > \(directory.path)/pid; echo done"])
            #expect(ended.text == "exit status 0: done")
            #expect(ended.whole < .seconds(3))
            let text = try String(decoding: directory.read("pid"), as: UTF8.self)
            try await gone(try #require(Int32(text.trimmingCharacters(in: .newlines))))
        }

        /// Waits until a process is no more, or a zombie that nobody here is the parent of.
        private func gone(_ process: Int32) async throws {
            for _ in 0..<300 {
                let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
                if status == nil || status?.contains(") Z ") == true { return }
                try await Task.sleep(for: .milliseconds(10))
            }
            Issue.record("process \(process) lives")
        }

        @Test("output without an end, and an early end of the output, end in a reason")
        func output() async throws {
            #expect(
                try await found(["/usr/bin/yes"]).text
                    == "body: more than 1048576 octets and no end")
            #expect(
                try await shell("exec >/dev/null 2>&1; sleep 0.1; exit 3")
                    == "status: exit status 3")
        }

        @Test("a directory is no program")
        func directory() {
            #expect(
                findings("{type: command, command: [/usr/bin]}")
                    .hasSuffix("cannot run /usr/bin: it is not a regular file"))
        }

        @Test("so many programs run at a time; who does not get a turn is not judged")
        func turns() async throws {
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let slow = try monitor("{type: command, timeout: 500ms, command: [/bin/sleep, 60]}")
            let address = IPAddress(ipv4: 0x7F00_0001)
            let texts = try await loop.flatSubmit {
                let shared = TrustCache()
                let all = loop.makePromise(of: [String].self)
                var texts: [String] = []
                var ended = 0
                for _ in 0..<40 {
                    let attempt = ProbeAttempt(
                        address, timeout: slow.timeout, loop: loop, trust: shared,
                        decide: { outcome, _ in texts.append("\(outcome)") },
                        end: {
                            ended += 1
                            if ended == 40 { all.succeed(texts) }
                        })
                    slow.probe.start(attempt)
                }
                return all.futureResult
            }.get()
            let unjudged = texts.filter {
                $0.hasPrefix("not probed: timeout after 500ms while waiting for a turn")
            }
            #expect(texts.count == 40 && unjudged.count == 8, "\(Set(texts))")
        }
    }

    struct FileProbeTests {
        private func found(
            _ text: String, _ keys: String = "", origin: String = "", age: Double = 0,
            address: String = "127.0.0.1"
        ) async throws -> String {
            let directory = try TemporaryDirectory()
            try directory.write(text, to: "results")
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -age)],
                ofItemAtPath: "\(directory.path)/results")
            let yaml = "{type: file, path: results\(keys)}"
            let monitor = try monitor(yaml, file: "\(directory.path)/f.yaml").bound(
                toOrigin: origin)
            return try await probe(monitor, address: address).outcome.description
                .replacing(directory.path + "/", with: "")
        }

        @Test("a line about the address decides, else one about the origin")
        func lines() async throws {
            #expect(try await found("127.0.0.1 up\n") == "marked up")
            #expect(
                try await found("127.0.0.1\tdown  disk full \u{7} now # and more\r\n")
                    == "status: marked down: disk full   now")
            #expect(
                try await found("# x\n\n 10.0.0.1 up\n a/b down", origin: "a/b")
                    == "status: marked down")
            #expect(try await found("a/b down\n127.0.0.1 up", origin: "a/b") == "marked up")
            #expect(try await found("127.0.0.1 up\n127.0.0.1 down") == "status: marked down")
            #expect(
                try await found("2001:DB8:0::1 up", address: "2001:db8::1") == "marked up")
        }

        @Test("what says nothing about the origin is inconclusive")
        func inconclusive() async throws {
            #expect(
                try await found("10.0.0.1 up", origin: "a/b")
                    == "not probed: results has no line for 127.0.0.1 or a/b")
            #expect(
                try await found("127.0.0.1 up", age: 301)
                    == "not probed: results was written 5m1s ago, max_age: 5m")
            #expect(try await found("127.0.0.1 up", ", max_age: 1h", age: 301) == "marked up")
            #expect(
                try await found("127.0.0.1 up\n127.0.0.2 ok")
                    == "not probed: results: line 2: expected \"ADDRESS up\" or \"down\"")
            let missing = try monitor("{type: file, path: /nowhere/results}")
            #expect(
                try await probe(missing).outcome.description
                    == "not probed: /nowhere/results: no such file or directory")
        }

        @Test("what comes from the future is no better than what is old")
        func future() async throws {
            #expect(try await found("127.0.0.1 up", age: -200) == "marked up")
            let text = try await found("127.0.0.1 up", age: -4_000)
            #expect(text.hasPrefix("not probed: results was written 1h"), "\(text)")
            #expect(text.hasSuffix(" in the future, max_age: 5m"), "\(text)")
        }

        @Test("a file of any year is read, also of one that nanoseconds do not reach")
        func farFuture() async throws {
            let text = try await found("127.0.0.1 up", age: -12_000_000_000)
            #expect(text.hasSuffix(" in the future, max_age: 5m"), "\(text)")
        }

        @Test("times as far apart as there are have an age", arguments: [Int64.min, .max])
        func farApart(nanoseconds: Int64) {
            let written = Timestamp(nanoseconds: nanoseconds)
            for now in [
                Timestamp.now(), Timestamp(nanoseconds: .min), Timestamp(nanoseconds: .max),
            ] {
                #expect(!Staleness.age(of: written, now: now).isEmpty)
            }
        }

        @Test("with stale: down, no result is a failure; what cannot be read never is")
        func stale() async throws {
            #expect(
                try await found("127.0.0.1 up", ", stale: down", age: 301)
                    == "status: results was written 5m1s ago, max_age: 5m")
            #expect(
                try await found("10.0.0.1 up", ", stale: down")
                    == "status: results has no line for 127.0.0.1")
            #expect(try await found("127.0.0.1 up", ", stale: down") == "marked up")
            #expect(
                try await found("127.0.0.1 up\nx", ", stale: down")
                    == "not probed: results: line 2: expected \"ADDRESS up\" or \"down\"")
            #expect(
                try await found("127.0.0.1 up", ", stale: keep", age: 301)
                    == "not probed: results was written 5m1s ago, max_age: 5m")
            let missing = try monitor("{type: file, path: /nowhere/results, stale: down}")
            #expect(
                try await probe(missing).outcome.description
                    == "status: /nowhere/results: no such file or directory")
        }

        @Test("a file is read again when it has changed, and then only")
        func cache() async throws {
            let directory = try TemporaryDirectory()
            let path = "\(directory.path)/results"
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let cache = try await loop.submit { NIOLoopBound(FileCache(), eventLoop: loop) }.get()
            let read: () async throws -> FileResults = {
                try await loop.flatSubmit {
                    let promise = loop.makePromise(of: FileResults.self)
                    cache.value.results(of: path, on: loop) {
                        promise.completeWith($0.mapError { $0 as any Error })
                    }
                    return promise.futureResult
                }.get()
            }
            try directory.write("127.0.0.1 up", to: "results")
            #expect(try await read().lines["127.0.0.1"]?.isUp == true)
            // As many octets, another file.
            try directory.write("10.0.0.11 up", to: "new")
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.moveItem(atPath: "\(directory.path)/new", toPath: path)
            #expect(try await read().lines["10.0.0.11"]?.isUp == true)
            try FileManager.default.removeItem(atPath: path)
            await #expect(throws: (any Error).self) { _ = try await read() }
        }
    }

    struct ICMPProbeTests {
        @Test("an echo request has its checksum (RFC 1071), in IPv6 the kernel's")
        func checksum() {
            let token: [UInt8] = [1, 2, 3, 4]
            let request = ICMPProbe.request(family: .ipv4, token: token)
            let words = stride(from: 0, to: request.count, by: 2).map {
                UInt32(request[$0]) << 8 | UInt32(request[$0 + 1])
            }
            #expect(words.reduce(0, +) == 0xFFFF && request.suffix(4) == token[...])
            #expect(
                ICMPProbe.request(family: .ipv6, token: token) == [128, 0, 0, 0, 0, 0, 0, 1] + token
            )
        }

        @Test(
            "this machine answers its own echo requests", .enabled(if: ICMPProbe.fault == nil),
            arguments: ["127.0.0.1", "::1"])
        func echo(address: String) async throws {
            let result = try await probe(monitor("{type: icmp}"), address: address)
            #expect(result.outcome == .passed("echo reply"))
        }

        @Test(
            "without the right to ICMP sockets such a monitor is an error",
            .enabled(if: ICMPProbe.fault != nil))
        func refused() {
            #expect(findings("{type: icmp}").contains("this system lets us open no ICMP socket ("))
        }
    }
}
