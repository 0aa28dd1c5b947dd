// Files to content: everything is read and checked, every finding is kept, and either all of it
// becomes a `Loaded` or none does. `serve`, `check`, `explain` and a reload all come through here.

import Authority
import DNSWire
import Geo
import Health
import Settings
import Steering
import Zones

/// What the files of one directory say, checked and linked.
struct Loaded: Sendable {
    var settings: ServerSettings
    var content: Content
    var geography: Geography
    var targets: [ProbeTarget]

    /// One line for the log: what is there.
    var summary: String {
        let zones = content.zones
        let configuration = content.steering.configuration
        let database =
            geography.database.map { "\($0.type) of \(dayText($0.buildDate))" }
            ?? "no geo database"
        return "\(zones.zones.count) zones with \(zones.nameCount) names, "
            + "\(configuration.services.count) services over \(configuration.pools.count) pools, "
            + "\(targets.count) probe targets; \(database)"
    }
}

/// Reads one directory.
struct Loader: Sendable {
    var directory: String
    /// The settings file; nil for `rhumb.yaml` in the directory, if it is there.
    var config: String?

    init(_ options: FileOptions) {
        directory = options.directory
        config = options.config
    }

    init(directory: String) {
        self.directory = directory
    }

    /// Returns what the files say, or nil with the reasons among the diagnostics.
    func load(_ diagnostics: inout Diagnostics) -> Loaded? {
        let settings = loadSettings(&diagnostics)
        let zoneDirectory = path(settings.zones)
        let zones = loadZones(zoneDirectory, &diagnostics)
        let configuration = loadPools(zoneDirectory, &diagnostics)
        let geography = loadGeography(path(settings.geo), &diagnostics)
        let monitors = configuration.map { loadMonitors($0, &diagnostics) } ?? [:]
        guard let zones, let configuration, let geography, !diagnostics.hasErrors else {
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
                zones: zones, steering: steering, identity: settings.identity ?? hostName(),
                diagnostics: &diagnostics)
        else { return nil }
        return Loaded(
            settings: settings, content: content, geography: geography,
            targets: probeTargets(steering, monitors))
    }

    // MARK: - Parts

    private func loadSettings(_ diagnostics: inout Diagnostics) -> ServerSettings {
        let file = config ?? path("rhumb.yaml")
        if config == nil, !fileExists(file) { return ServerSettings(nil, &diagnostics) }
        guard let text = readText(file, &diagnostics) else {
            return ServerSettings(nil, &diagnostics)
        }
        return ServerSettings(parseSettings(text, file: file, diagnostics: &diagnostics), &diagnostics)
    }

    private func loadZones(_ directory: String, _ diagnostics: inout Diagnostics) -> ZoneSet? {
        guard let files = listDirectory(directory, suffix: ".zone") else {
            diagnostics.error(
                at: SourcePosition(file: directory),
                "not a readable directory; put zone files there, or name another with zones: in rhumb.yaml")
            return nil
        }
        if files.isEmpty {
            diagnostics.error(
                at: SourcePosition(file: directory), "no zone files; a zone is a file NAME.zone here")
        }
        let sources = files.map { loadZoneFile(path: $0, diagnostics: &diagnostics) }
        let readable = sources.compactMap(\.self)
        let zones = ZoneSet(readable, diagnostics: &diagnostics)
        return readable.count == sources.count ? zones : nil
    }

    private func loadPools(
        _ directory: String, _ diagnostics: inout Diagnostics
    ) -> SteeringConfiguration? {
        var files: [PoolFile] = []
        for file in listDirectory(directory, suffix: ".yaml") ?? [] {
            guard let text = readText(file, &diagnostics) else { continue }
            files.append(PoolFile(name: file, text: text))
        }
        return SteeringConfiguration.parse(files, diagnostics: &diagnostics)
    }

    private func loadMonitors(
        _ configuration: SteeringConfiguration, _ diagnostics: inout Diagnostics
    ) -> [String: Monitor] {
        var monitors: [String: Monitor] = [:]
        for entry in configuration.monitors {
            monitors[entry.name] = Monitor(name: entry.name, entry.value, &diagnostics)
        }
        return monitors
    }

    /// Opens the database that is meant and reads the overrides beside it.
    private func loadGeography(_ place: String, _ diagnostics: inout Diagnostics) -> Geography? {
        let isFile = place.hasSuffix(".mmdb")
        let directory = isFile ? parentDirectory(place) : place
        var database: LocationDatabase?
        do {
            database = isFile ? try LocationDatabase(path: place) : try newestDatabase(in: place)
        } catch {
            diagnostics.error(at: SourcePosition(file: error.path), error.message)
            return nil
        }
        if database == nil {
            diagnostics.warning(
                at: SourcePosition(file: place),
                "no geo database (*.mmdb); clients have no place but what overrides.yaml says. See scripts/fetch-geo"
            )
        }
        var overrides = LocationOverrides()
        let file = directory + "/overrides.yaml"
        if fileExists(file), let text = readText(file, &diagnostics),
            let root = parseSettings(text, file: file, diagnostics: &diagnostics)
        {
            overrides = LocationOverrides.parse(root, &diagnostics)
        }
        return Geography(database: database, overrides: overrides)
    }

    /// The database to use: the best of those a user put there, else the coarse one that is shipped.
    private func newestDatabase(in directory: String) throws(GeoError) -> LocationDatabase? {
        let files = listDirectory(directory, suffix: ".mmdb") ?? []
        let own = files.filter { !$0.hasSuffix("/world.mmdb") }
        if let best = try LocationDatabase.best(among: own) { return best }
        return try LocationDatabase.best(among: files)
    }

    /// Paths in settings are relative to the directory.
    private func path(_ name: String) -> String {
        name.hasPrefix("/") ? name : directory == "." ? name : directory + "/" + name
    }
}

/// The probes that a configuration asks for.
func probeTargets(_ steering: Steering, _ monitors: [String: Monitor]) -> [ProbeTarget] {
    let pools = steering.configuration.pools
    return steering.addresses.enumerated().compactMap { index, steered in
        guard let monitor = steered.monitor.flatMap({ monitors[$0] }) else { return nil }
        let pool = pools[steered.pool]
        let origin = pool.origins[steered.origin]
        // Addresses of an origin that are checked at one place are one target: equal keys.
        let address = origin.checkAddress ?? steered.address
        return ProbeTarget(
            id: index, key: "\(pool.name)/\(origin.name)/\(address)", address: address,
            monitor: monitor)
    }
}
