// Files to content: everything is read and checked, every finding is kept, and either all of it
// becomes a `Loaded` or none does. `serve`, `check`, `explain` and a reload all come through here.

import Authority
import Cryptography
import DNSWire
import Geo
import Health
import NIOPosix
import Settings
import Steering
import Zones

/// What the files of one directory say, checked and linked.
struct Loaded: Sendable {
    var settings: ServerSettings
    var content: Content
    var geography: Geography
    var probes: ProbePlan

    /// One line for the log: what is there.
    var summary: String {
        let zones = content.zones
        let configuration = content.steering.configuration
        let database =
            geography.database.map { "\($0.type) of \(dayText($0.buildDate))" }
            ?? "no geo database"
        let systems =
            geography.asnDatabase.map { ", \($0.type) of \(dayText($0.buildDate))" } ?? ""
        let apexes = zones.zones.prefix(3).map(\.apex.description).joined(separator: " ")
        let more = zones.zones.count > 3 ? " …" : ""
        let records = zones.zones.reduce(0) { $0 + $1.recordCount }
        return "\(counted(zones.zones.count, "zone")) (\(apexes)\(more)) with "
            + "\(counted(records, "record")), "
            + "\(counted(configuration.services.count, "service")) over "
            + "\(counted(configuration.pools.count, "pool")), "
            + "\(counted(probes.probeCount, "probe target")); \(database)\(systems)"
    }
}

/// Reads one directory.
struct Loader: Sendable {
    var directory: String
    /// The settings file; nil for `rhumb.yaml` in the directory, if it is there.
    var config: String?
    /// Makes this process's cookies where no file has secrets: the same through all reloads.
    private let processSecret: SipHashKey = {
        var generator = SystemRandomNumberGenerator()
        return .random(using: &generator)
    }()

    init(_ options: FileOptions) {
        directory = options.directory
        config = options.config
    }

    init(directory: String) {
        self.directory = directory
    }

    /// Returns what the files say, or nil with the reasons among the diagnostics.
    ///
    /// - Parameters:
    ///   - latency: the round trips in force, which those of the file replace where they differ by
    ///     more than the margin.
    ///   - withZones: gets the zones as they were read, whatever else is wrong.
    func load(
        _ diagnostics: inout Diagnostics, after latency: LatencyTable? = nil,
        withZones: ([ZoneSource]) -> Void = { _ in }
    ) -> Loaded? {
        guard directoryExists(directory) else {
            diagnostics.error(
                at: SourcePosition(file: directory),
                "not a directory; name the one that holds zones/ with --directory")
            return nil
        }
        let settings = loadSettings(&diagnostics)
        let answers = answerSettings(settings, &diagnostics)
        let zoneDirectory = path(settings.zones)
        let zones = loadZones(zoneDirectory, &diagnostics, withZones)
        let poolFiles = readPoolFiles(zoneDirectory, &diagnostics)
        var monitorEntries: [MonitorEntry] = []
        var configuration = SteeringConfiguration.parse(
            poolFiles.files, latency: loadLatency(settings, &diagnostics),
            monitors: &monitorEntries, diagnostics: &diagnostics)
        if let latency { configuration?.settleLatency(after: latency) }
        let geography = loadGeography(settings, &diagnostics)
        let monitors = Monitor.read(monitorEntries, &diagnostics)
        guard let zones = zones.set, let configuration, let geography, !diagnostics.hasErrors else {
            if poolFiles.isComplete,
                let services = SteeringConfiguration.statedServices(poolFiles.files)
            {
                // Linking is out of the question, but its errors show in the same run.
                Content.checkReferences(
                    of: SteerReference.all(in: zones.sources), to: services, &diagnostics)
            }
            return nil
        }
        let steering: Steering
        do {
            steering = try Steering(configuration, geography: geography)
        } catch {
            diagnostics.error(at: SourcePosition(file: error.path), error.message)
            return nil
        }
        guard
            let content = Content(
                zones: zones, steering: steering, answers: answers, diagnostics: &diagnostics)
        else { return nil }
        return Loaded(
            settings: settings, content: content, geography: geography,
            probes: ProbePlan(configuration, addresses: steering.addresses, monitors: monitors))
    }

    /// Does what `load` does on a thread that may block: reading and compiling can take seconds.
    ///
    /// - Throws: `CancellationError` alone.
    func loadAside(after latency: LatencyTable? = nil) async throws -> (
        loaded: Loaded?, diagnostics: Diagnostics
    ) {
        try await NIOThreadPool.singleton.runIfActive { [self] in
            var diagnostics = Diagnostics()
            let loaded = load(&diagnostics, after: latency)
            return (loaded, diagnostics)
        }
    }

    // MARK: - Parts

    private func loadSettings(_ diagnostics: inout Diagnostics) -> ServerSettings {
        let file = config ?? path("rhumb.yaml")
        if config == nil {
            warnOfName(path("rhumb.yml"), "rename it to rhumb.yaml", &diagnostics)
        }
        if config == nil, !fileExists(file) { return ServerSettings(nil, &diagnostics) }
        guard let text = readText(file, &diagnostics) else {
            return ServerSettings(nil, &diagnostics)
        }
        return ServerSettings(
            parseSettings(text, file: file, diagnostics: &diagnostics), &diagnostics)
    }

    private func answerSettings(
        _ settings: ServerSettings, _ diagnostics: inout Diagnostics
    ) -> AnswerSettings {
        var answers = AnswerSettings(identity: settings.identity ?? hostName())
        answers.version = settings.version ?? ""
        answers.datagramLength = settings.datagramLength
        answers.explainers = settings.explainers
        switch settings.cookies {
        case .off: break
        case .processSecret: answers.cookies = CookieSecrets(current: processSecret)
        case .file(let name, let position):
            answers.cookies = loadCookieSecrets(name, at: position, &diagnostics)
        }
        return answers
    }

    /// Reads the secrets that make cookies, and warns where others can read them.
    private func loadCookieSecrets(
        _ name: String, at position: SourcePosition, _ diagnostics: inout Diagnostics
    ) -> CookieSecrets? {
        let file = path(name)
        let octets: [UInt8]
        do {
            octets = try readFile(path: file, limit: CookieSecrets.fileLimit)
        } catch {
            // Never the cure for a file that is there: servers may share what is in it.
            let cure =
                error.isMissing
                ? "; make one with \"(umask 077; openssl rand -hex 16 > \(file))\"" : ""
            diagnostics.error(
                at: position,
                "cookies.secret_file: \(file) is not readable: \(error.explanation)\(cure)")
            return nil
        }
        if isReadableByOthers(file) {
            diagnostics.warning(
                at: SourcePosition(file: file),
                "everyone on this machine can read these secrets; run \"chmod o= \(file)\"")
        }
        return CookieSecrets.parse(octets, file: file, diagnostics: &diagnostics)
    }

    /// Reads all zone files; no set if any has an error.
    private func loadZones(
        _ directory: String, _ diagnostics: inout Diagnostics, _ withZones: ([ZoneSource]) -> Void
    ) -> (set: ZoneSet?, sources: [ZoneSource]) {
        guard let files = listDirectory(directory, suffix: ".zone") else {
            diagnostics.error(
                at: SourcePosition(file: directory),
                "not a readable directory; put zone files there, or name another with zones: in rhumb.yaml"
            )
            return (nil, [])
        }
        for name in listDirectory(directory, suffix: "") ?? []
        where !name.hasSuffix(".zone") && name.lowercased().hasSuffix(".zone") {
            warnOfName(name, "zone files end in .zone", &diagnostics)
        }
        if files.isEmpty {
            diagnostics.error(
                at: SourcePosition(file: directory),
                "no zone files; a zone is a file NAME.zone here")
        }
        let sources = files.map { loadZoneFile(path: $0, diagnostics: &diagnostics) }
        let readable = sources.compactMap(\.self)
        withZones(readable)
        let zones = ZoneSet(readable, diagnostics: &diagnostics)
        return (readable.count == sources.count ? zones : nil, readable)
    }

    /// Reads the pool files; not complete if one of them can't be read.
    private func readPoolFiles(
        _ directory: String, _ diagnostics: inout Diagnostics
    ) -> (files: [PoolFile], isComplete: Bool) {
        let names = listDirectory(directory, suffix: ".yaml") ?? []
        for name in listDirectory(directory, suffix: ".yml") ?? [] {
            warnOfName(name, "pool files end in .yaml", &diagnostics)
        }
        let files = names.compactMap { name in
            readText(name, &diagnostics).map { PoolFile(name: name, text: $0) }
        }
        return (files, files.count == names.count)
    }

    /// Opens the databases that are meant and reads the overrides beside them.
    private func loadGeography(
        _ settings: ServerSettings, _ diagnostics: inout Diagnostics
    ) -> Geography? {
        let place = path(settings.geo)
        let isFile = place.hasSuffix(".mmdb")
        if let position = settings.geoPosition, !isFile, !directoryExists(place) {
            diagnostics.error(
                at: position, "geo: \(place) is not a directory; name one, or a file NAME.mmdb")
            return nil
        }
        let directory = geoDirectory(settings)
        var database: LocationDatabase?
        var asnDatabase: LocationDatabase?
        do {
            database = isFile ? try LocationDatabase(path: place) : try newestDatabase(in: place)
            let files = listDirectory(directory, suffix: ".mmdb") ?? []
            // Where one file is named, the others there are nobody's choice: a damaged one is no fault.
            let readable =
                isFile ? files.filter { (try? LocationDatabase(path: $0, [.asn])) != nil } : files
            asnDatabase = try LocationDatabase.best(among: readable, [.asn])
        } catch {
            diagnostics.error(at: SourcePosition(file: error.path), error.message)
            return nil
        }
        for name in listDirectory(directory, suffix: ".mmdb.gz") ?? [] {
            warnOfName(name, "unpack it with gunzip", &diagnostics)
        }
        warnOfName(directory + "/overrides.yml", "rename it to overrides.yaml", &diagnostics)
        var overrides = LocationOverrides()
        let file = directory + "/overrides.yaml"
        if fileExists(file), let text = readText(file, &diagnostics),
            let root = parseSettings(text, file: file, diagnostics: &diagnostics)
        {
            overrides = LocationOverrides.parse(root, &diagnostics)
        }
        return Geography(database: database, asnDatabase: asnDatabase, overrides: overrides)
    }

    /// Where the files beside the database are.
    private func geoDirectory(_ settings: ServerSettings) -> String {
        let place = path(settings.geo)
        return place.hasSuffix(".mmdb") ? parentDirectory(place) : place
    }

    /// Reads measured round trips; none if there is no file, nil if it has faults.
    private func loadLatency(
        _ settings: ServerSettings, _ diagnostics: inout Diagnostics
    ) -> LatencyTable? {
        let file = geoDirectory(settings) + "/latency.csv"
        guard fileExists(file) else { return LatencyTable(file: file) }
        do {
            let octets = try readFile(path: file, limit: SteeringLimit.latencyOctets)
            return LatencyTable.parse(octets, file: file, &diagnostics)
        } catch {
            diagnostics.error(
                at: SourcePosition(file: file), "not readable: \(error.explanation)")
            return nil
        }
    }

    /// The database to use: the best of those a user put there, else the coarse one that is shipped.
    private func newestDatabase(in directory: String) throws(GeoError) -> LocationDatabase? {
        let files = listDirectory(directory, suffix: ".mmdb") ?? []
        let own = files.filter { !$0.hasSuffix("/world.mmdb") }
        if let best = try LocationDatabase.best(among: own) { return best }
        return try LocationDatabase.best(among: files)
    }

    /// Warns of a file whose name is nearly one that is read.
    private func warnOfName(_ file: String, _ cure: String, _ diagnostics: inout Diagnostics) {
        guard fileExists(file) else { return }
        diagnostics.warning(at: SourcePosition(file: file), "not read; \(cure)")
    }

    /// Paths in settings are relative to the directory.
    private func path(_ name: String) -> String {
        name.hasPrefix("/") ? name : directory == "." ? name : directory + "/" + name
    }
}
