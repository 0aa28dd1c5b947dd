// rhumb demo: `serve` on the shipped sample with the sample's origins in the same process.

import ArgumentParser
import DNSWire
import Health
import Settings
import Transport

struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the shipped sample, with its origins, and print what to try.",
        usage: "rhumb demo [--port <port>] [--control-port <port>] [-C <directory>]",
        discussion: """
            Runs six sites as little HTTP servers on 127.0.1.x and answers for example.com with the \
            zone and pool files of the sample. Nothing leaves this machine.
            """)

    @OptionGroup var files: FileOptions

    @Option(help: "The port to listen on, at 127.0.0.1 and ::1; 0 for any.")
    var port: UInt16 = 5_300

    @Option(
        help: ArgumentHelp(
            "The port on 127.0.0.1 that stops and starts origins; 0 for any.", valueName: "port"))
    var controlPort: UInt16 = 5_380

    func run() async throws {
        let signals = await Server.trapSignals()
        let loader = Loader(files)
        let (loaded, diagnostics) = try await loader.loadAside()
        report(diagnostics)
        guard let loaded else {
            printError(
                "rhumb: the demo reads zones/ and geo/ of \"\(files.directory)\"; see --directory")
            throw ExitCode(1)
        }
        let origins = DemoOrigins(demoOrigins(loaded))
        let listen = ["127.0.0.1", "::1"].compactMap(IPAddress.init).map {
            ListenAddress(address: $0, port: port)
        }
        let server = Server(loaded, loader: loader, listen: listen, logger: LineLog.logger())
        do {
            let controlPort = try await origins.start(controlPort: controlPort)
            try await server.run(loaded, until: signals) { [self] addresses in
                printNow(tour(port: addresses.first?.port ?? port, controlPort: controlPort))
            }
        } catch let error as TransportError {
            printError("rhumb: \(error); --port chooses another port")
            throw ExitCode(1)
        } catch {
            printError("rhumb: \(error)")
            throw ExitCode(1)
        }
        await origins.stop()
    }

    /// What to type, with this demo's ports.
    private func tour(port: UInt16, controlPort: Int) -> String {
        let program = CommandLine.arguments.first ?? "rhumb"
        let place = files.directory == "." ? "" : " --directory \(files.directory)"
        let zones = files.directory == "." ? "zones" : "\(files.directory)/zones"
        return """

            Rhumb answers for example.com on 127.0.0.1 port \(port). In another terminal, be someone else:

              dig @127.0.0.1 -p \(port) www.example.com +subnet=133.11.0.0/16     # Tokyo
              dig @127.0.0.1 -p \(port) www.example.com +subnet=81.2.69.0/24      # London
              dig @127.0.0.1 -p \(port) www.example.com +subnet=200.144.248.0/24  # Sao Paulo
              dig @127.0.0.1 -p \(port) www.example.com +subnet=128.143.0.0/16    # Virginia
              dig @::1 -p \(port) www.example.com AAAA +tcp +subnet=2001:200::/32  # the same, otherwise

            Ask why:

              \(program) explain www.example.com --client 133.11.0.0/16\(place)

            Let a site die, watch its clients move, let it come back:

              curl http://127.0.0.1:\(controlPort)/stop/tokyo
              curl http://127.0.0.1:\(controlPort)/start/tokyo

            Change \(zones)/example.yaml, then: kill -HUP \(processNumber())
            Control-C ends it.

            """
    }
}

/// The sample's origins with the port that their monitor asks.
private func demoOrigins(_ loaded: Loaded) -> [DemoOrigins.Origin] {
    var seen: Set<String> = []
    return loaded.probes.targets.compactMap { target in
        // Addresses that are checked at one place are one origin.
        guard target.address.family == .ipv4, target.address.ipv4Bits >> 24 == 127,
            let port = target.monitors.first?.port, seen.insert(target.key).inserted
        else { return nil }
        return DemoOrigins.Origin(
            name: target.key.split(separator: "/").prefix(2).joined(separator: "/"),
            address: target.address, port: port)
    }
}
