// Which databases a server uses, and whether others may take their place while it runs.

import Geo
import Settings

/// The databases to use.
struct Databases {
    /// Says where addresses are.
    var places: LocationDatabase?
    /// Says who announces them.
    var systems: LocationDatabase?

    /// Returns why others should not take the place of these; nil if they may.
    func objection(to new: Databases) -> GeoError? {
        for (old, new) in [(places, new.places), (systems, new.systems)] {
            guard let old else { continue }
            guard let new else {
                return GeoError(
                    path: old.path, "is gone, and there is none in its place; put one there")
            }
            guard old !== new, let reason = old.facts.objection(to: new.facts) else { continue }
            return GeoError(
                path: new.path,
                "\(reason) (\(new.facts.summary); in force is \(old.facts.summary)); if this is meant,"
                    + " restart, or name the file with geo: in rhumb.yaml and reload")
        }
        return nil
    }
}

/// What was chosen, of which files, and files that are refused.
struct ChosenDatabases {
    var databases: Databases
    var files: DatabaseFiles
    var refused: DatabaseFiles?

    func geography(_ overrides: LocationOverrides) -> Geography {
        Geography(
            database: databases.places, asnDatabase: databases.systems, overrides: overrides)
    }
}

extension Loader {
    /// The database files that there are to choose from.
    func databaseFiles(_ settings: ServerSettings) -> DatabaseFiles {
        DatabaseFiles(
            place: path(settings.geo),
            paths: listDirectory(geoDirectory(settings), suffix: ".mmdb") ?? [])
    }

    /// Chooses databases, and judges them if there are some in force.
    ///
    /// What `check` would find in them keeps a server from starting. A running one goes on with those it has,
    /// whatever is wrong: the rest of a reload need not wait for a vendor. Where the settings name
    /// another place, that is what the user wants, and nothing is compared.
    ///
    /// - Returns: what to use; nil with the reason among the diagnostics.
    func loadDatabases(
        _ settings: ServerSettings, after previous: Loaded?, _ diagnostics: inout Diagnostics
    ) -> ChosenDatabases? {
        let place = path(settings.geo)
        if let position = settings.geoPosition, !place.hasSuffix(".mmdb"), !directoryExists(place) {
            diagnostics.error(
                at: position, "geo: \(place) is not a directory; name one, or a file NAME.mmdb")
            return nil
        }
        // Before they are opened: what changes meanwhile is found at the next look.
        let files = databaseFiles(settings)
        let previous = previous.flatMap { $0.databaseFiles.place == place ? $0 : nil }
        if let previous, previous.databaseFiles == files { return previous.databases }
        do throws(GeoError) {
            var chosen = try openDatabases(place, files)
            if let previous {
                let inForce = previous.databases.databases
                chosen.places = chosen.places.map { previous.sameFile($0, inForce.places, files) }
                chosen.systems = chosen.systems.map {
                    previous.sameFile($0, inForce.systems, files)
                }
                if let objection = inForce.objection(to: chosen) { throw objection }
            }
            return ChosenDatabases(databases: chosen, files: files)
        } catch {
            return refuse(files, error, after: previous, &diagnostics)
        }
    }

    /// Reports what is wrong with files, and goes back to the databases in force, if they are of the same
    /// place; nil if there are none.
    func refuse(
        _ files: DatabaseFiles, _ error: GeoError, after previous: Loaded?,
        _ diagnostics: inout Diagnostics
    ) -> ChosenDatabases? {
        let position = SourcePosition(file: error.path)
        guard let previous, previous.databaseFiles.place == files.place,
            previous.databaseFiles != files
        else {
            diagnostics.error(at: position, error.message)
            return nil
        }
        diagnostics.warning(
            at: position, "refused, and the database in force stays: \(error.message)")
        var databases = previous.databases
        databases.refused = files
        return databases
    }

    /// Opens the file that is meant, or the best of a directory, and a database of AS numbers beside it.
    private func openDatabases(
        _ place: String, _ files: DatabaseFiles
    ) throws(GeoError) -> Databases {
        let paths = files.versions.keys.sorted()
        guard !place.hasSuffix(".mmdb") else {
            // Where one file is named, the others there are nobody's choice: a damaged one is no fault.
            let others = paths.filter { (try? LocationDatabase(path: $0, [.asn])) != nil }
            return Databases(
                places: try LocationDatabase(path: place),
                systems: try LocationDatabase.best(among: others, [.asn]))
        }
        // What a user put there, else the coarse one that is shipped.
        let own = paths.filter { !$0.hasSuffix("/world.mmdb") }
        var places = try LocationDatabase.best(among: own)
        if places == nil { places = try LocationDatabase.best(among: paths) }
        return Databases(
            places: places, systems: try LocationDatabase.best(among: paths, [.asn]))
    }
}

extension Loaded {
    fileprivate var databases: ChosenDatabases {
        ChosenDatabases(
            databases: Databases(
                places: geography.database, systems: geography.asnDatabase),
            files: databaseFiles)
    }

    /// The database in force if the one that was opened is the same version of its file, so that what was
    /// compiled of it holds.
    fileprivate func sameFile(
        _ opened: LocationDatabase, _ inForce: LocationDatabase?, _ files: DatabaseFiles
    ) -> LocationDatabase {
        guard let inForce, inForce.path == opened.path,
            databaseFiles.versions[opened.path] == files.versions[opened.path]
        else { return opened }
        return inForce
    }
}
