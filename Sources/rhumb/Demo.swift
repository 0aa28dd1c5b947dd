// rhumb demo: `serve` on the shipped sample with the sample's origins in the same process.

import ArgumentParser
import DNSWire
import Health
import Logging
import Settings
import Transport

struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the shipped sample, with its origins, and print what to try.",
        discussion: """
            Runs six sites as little HTTP servers on 127.0.1.x and answers for example.com with the \
            zone and pool files of the sample. Nothing leaves this machine.
            """)

    @OptionGroup var files: FileOptions

    @Option(help: "The port to listen on, at 127.0.0.1 and ::1.")
    var port: UInt16 = 5_300

    @Option(help: "The port on 127.0.0.1 that stops and starts origins.")
    var controlPort = 5_380

    func run() async throws {
        let loader = Loader(files)
        var diagnostics = Diagnostics()
        let loaded = loader.load(&diagnostics)
        report(diagnostics)
        guard let loaded else {
            printError("rhumb: the demo reads zones/ and geo/ of \"\(files.directory)\"; see --directory")
            throw ExitCode(1)
        }
        let origins = DemoOrigins(try demoOrigins(loaded))
        let listen = ["127.0.0.1", "::1"].compactMap(IPAddress.init).map {
            ListenAddress(address: $0, port: port)
        }
        let server = Server(loaded, loader: loader, listen: listen, logger: Logger(label: "rhumb"))
        do {
            try await origins.start(controlPort: controlPort)
            try await server.start(loaded)
        } catch {
            printError("rhumb: \(error)")
            await server.stop()
            throw ExitCode(1)
        }
        print(tour)
        await server.runUntilStopped()
        await origins.stop()
    }

    /// What to type, with this demo's ports.
    private var tour: String {
        """

        Rhumb answers for example.com on 127.0.0.1 port \(port). In another terminal, be someone else:

          dig @127.0.0.1 -p \(port) www.example.com +subnet=133.11.0.0/16     # Tokyo
          dig @127.0.0.1 -p \(port) www.example.com +subnet=81.2.69.0/24      # London
          dig @127.0.0.1 -p \(port) www.example.com +subnet=200.144.248.0/24  # Sao Paulo
          dig @127.0.0.1 -p \(port) www.example.com +subnet=128.143.0.0/16    # Virginia
          dig @::1 -p \(port) www.example.com AAAA +tcp +subnet=2001:200::/32  # the same, otherwise

        Ask why:

          .build/release/rhumb explain www.example.com --client 133.11.0.0/16

        Let a site die, watch its clients move, let it come back:

          curl http://127.0.0.1:\(controlPort)/stop/tokyo
          curl http://127.0.0.1:\(controlPort)/start/tokyo

        Change zones/example.yaml, then: kill -HUP \(processNumber())
        Control-C ends it.

        """
    }
}

/// The sample's origins with the port that their monitor asks.
private func demoOrigins(_ loaded: Loaded) throws -> [DemoOrigins.Origin] {
    loaded.targets.filter { $0.address.family == .ipv4 && $0.address.ipv4Bits >> 24 == 127 }.map {
        DemoOrigins.Origin(
            name: $0.key.split(separator: "/").prefix(2).joined(separator: "/"),
            address: $0.address, port: $0.monitor.port)
    }
}
