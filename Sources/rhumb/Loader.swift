// Files to content: everything is read and checked, every finding is kept, and either all of it
// becomes a `Loaded` or none does. `serve`, `check`, `explain` and a reload all come through here.

import Authority
import CLinux
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
    /// What answers say apart from the zones' data: `content` was made with it.
    var answers: AnswerSettings
    /// What the databases were chosen from, and what was refused as their successor.
    var databaseFiles: DatabaseFiles
    var refusedFiles: DatabaseFiles?

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

extension Loaded {
    /// What compiling took, for the log of a running server; empty where there are no trees.
    var treeSummary: String {
        let count = content.steering.treeCount
        guard count > 0 else { return "" }
        let compiled = content.steering.compiledTreeCount
        return "; \(counted(compiled, "location tree")) compiled, \(count - compiled) kept"
    }

    /// What is different about the databases; nil if nothing is.
    func databaseChange(to new: Loaded) -> String? {
        let pairs = [
            (geography.database, new.geography.database),
            (geography.asnDatabase, new.geography.asnDatabase),
        ]
        let changes = pairs.compactMap { old, new -> String? in
            guard old !== new else { return nil }
            let name = new.map { "\($0.path): \($0.facts.summary)" } ?? "no database"
            return old.map { "\(name) replaces \($0.facts.summary)" } ?? "\(name) is new"
        }
        return changes.isEmpty ? nil : changes.joined(separator: "; ")
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
    ///   - previous: what is in force. Its trees are kept where they still hold, its databases where there
    ///     are no others or these are refused, and its round trips as long as those of the file
    ///     differ by no more than the margin.
    ///   - withZones: gets the zones as they were read, whatever else is wrong.
    func load(
        _ diagnostics: inout Diagnostics, after previous: Loaded? = nil,
        withZones: ([ZoneSource]) -> Void = { _ in }
    ) -> Loaded? {
        // What loading took is more than what is kept.
        defer { cln_trim_memory() }
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
        if let latency = previous?.content.steering.configuration.latency {
            configuration?.settleLatency(after: latency)
        }
        let databases = loadDatabases(settings, after: previous, &diagnostics)
        let overrides = loadOverrides(settings, &diagnostics)
        let monitors = Monitor.read(monitorEntries, &diagnostics)
        if let pools = configuration?.pools {
            for sink in settings.events {
                sink.checkPatterns(among: pools.map(\.name), &diagnostics)
            }
        }
        guard let zones = zones.set, let configuration, let databases, !diagnostics.hasErrors
        else {
            if poolFiles.isComplete,
                let services = SteeringConfiguration.statedServices(poolFiles.files)
            {
                // Linking is out of the question, but its errors show in the same run.
                Content.checkReferences(
                    of: SteerReference.all(in: zones.sources), to: services, &diagnostics)
            }
            return nil
        }
        guard
            let (content, geography, used) = link(
                zones, configuration, databases, overrides, answers, after: previous, &diagnostics)
        else { return nil }
        var probes = ProbePlan(
            configuration, addresses: content.steering.addresses, monitors: monitors)
        probes.isolation = settings.isolation
        return Loaded(
            settings: settings, content: content, geography: geography, probes: probes,
            answers: answers, databaseFiles: used.files, refusedFiles: used.refused)
    }

    /// Does the same with other databases alone: all else stays as it is in force, whatever the files
    /// say by now.
    ///
    /// - Returns: what is in force from now on; nil with the reason among the diagnostics.
    func loadDatabases(
        after previous: Loaded, _ diagnostics: inout Diagnostics
    ) -> Loaded? {
        // What loading took is more than what is kept.
        defer { cln_trim_memory() }
        guard let databases = loadDatabases(previous.settings, after: previous, &diagnostics)
        else { return nil }
        let (old, overrides) = (previous.content, previous.geography.overrides)
        var (loaded, used) = (previous, databases)
        if !databases.geography(overrides).isSame(as: previous.geography) {
            guard
                let (content, geography, compiled) = link(
                    old.zones, old.steering.configuration, databases, overrides, previous.answers,
                    after: previous, &diagnostics)
            else { return nil }
            used = compiled
            if compiled.refused == nil { (loaded.content, loaded.geography) = (content, geography) }
        }
        loaded.databaseFiles = used.files
        loaded.refusedFiles = used.refused
        return loaded
    }

    /// Compiles steering and links it to the zones; nil with the reasons among the diagnostics.
    ///
    /// - Returns: what came of it, and of which databases: of those in force where the others turn out to be
    ///   damaged.
    private func link(
        _ zones: ZoneSet, _ configuration: SteeringConfiguration, _ databases: ChosenDatabases,
        _ overrides: LocationOverrides, _ answers: AnswerSettings, after previous: Loaded?,
        _ diagnostics: inout Diagnostics
    ) -> (Content, Geography, ChosenDatabases)? {
        var databases = databases
        while true {
            let geography = databases.geography(overrides)
            do {
                // A server that answers meanwhile has other use for its cores.
                let steering = try Steering(
                    configuration, geography: geography, reusing: previous?.content.steering,
                    treesAtOnce: previous == nil ? Steering.treesAtOnce : 1)
                let content = Content(
                    zones: zones, steering: steering, answers: answers, diagnostics: &diagnostics)
                return content.map { ($0, geography, databases) }
            } catch {
                // Where those in force don't compile either, nothing is left to go back to.
                let fallback = databases.refused == nil ? previous : nil
                guard
                    let inForce = refuse(databases.files, error, after: fallback, &diagnostics)
                else { return nil }
                databases = inForce
            }
        }
    }

    /// Does what `load` does on a thread that may block: reading and compiling can take seconds.
    ///
    /// - Throws: `CancellationError` alone.
    func loadAside(after previous: Loaded? = nil) async throws -> (
        loaded: Loaded?, diagnostics: Diagnostics
    ) {
        try await aside(previous == nil) { diagnostics in load(&diagnostics, after: previous) }
    }

    /// Does what `loadDatabases` does, likewise.
    func loadDatabasesAside(after previous: Loaded) async throws -> (
        loaded: Loaded?, diagnostics: Diagnostics
    ) {
        try await aside(false) { diagnostics in loadDatabases(after: previous, &diagnostics) }
    }

    private func aside(
        _ isFirst: Bool, _ load: @escaping @Sendable (inout Diagnostics) -> Loaded?
    ) async throws -> (loaded: Loaded?, diagnostics: Diagnostics) {
        let work = { @Sendable in
            var diagnostics = Diagnostics()
            let loaded = load(&diagnostics)
            return (loaded, diagnostics)
        }
        // Nobody is answered before the first one is done: it has no use for spare time, nor for time that
        // workers leave.
        return try await isFirst
            ? NIOThreadPool.singleton.runIfActive(work) : SpareTime.run(work)
    }

    // MARK: - Parts

    /// What rhumb.yaml says, or else the defaults.
    func loadSettings(_ diagnostics: inout Diagnostics) -> ServerSettings {
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

    /// Reads the overrides beside the databases.
    private func loadOverrides(
        _ settings: ServerSettings, _ diagnostics: inout Diagnostics
    ) -> LocationOverrides {
        let directory = geoDirectory(settings)
        for name in listDirectory(directory, suffix: ".mmdb.gz") ?? [] {
            warnOfName(name, "unpack it with gunzip", &diagnostics)
        }
        warnOfName(directory + "/overrides.yml", "rename it to overrides.yaml", &diagnostics)
        let file = directory + "/overrides.yaml"
        guard fileExists(file), let text = readText(file, &diagnostics),
            let root = parseSettings(text, file: file, diagnostics: &diagnostics)
        else { return LocationOverrides() }
        return LocationOverrides.parse(root, &diagnostics)
    }

    /// Where the files beside the database are.
    func geoDirectory(_ settings: ServerSettings) -> String {
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

    /// Warns of a file whose name is nearly one that is read.
    private func warnOfName(_ file: String, _ cure: String, _ diagnostics: inout Diagnostics) {
        guard fileExists(file) else { return }
        diagnostics.warning(at: SourcePosition(file: file), "not read; \(cure)")
    }

    /// Paths in settings are relative to the directory.
    func path(_ name: String) -> String {
        name.hasPrefix("/") ? name : directory == "." ? name : directory + "/" + name
    }
}
