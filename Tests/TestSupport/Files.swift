// What is in a folder of inputs.

import Glibc

/// The names of a directory's files, with the directory before them, in order; none if
/// there is no such directory.
public func listFiles(_ directory: String) -> [String] {
    guard let handle = unsafe opendir(directory) else { return [] }
    defer { unsafe closedir(handle) }
    var names: [String] = []
    while let entry = unsafe readdir(handle) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
            unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                unsafe String(cString: $0)
            }
        }
        if !name.hasPrefix(".") { names.append("\(directory)/\(name)") }
    }
    return names.sorted()
}
