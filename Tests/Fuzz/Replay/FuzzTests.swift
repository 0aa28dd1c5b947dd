// Every checked-in seed and finding through its fuzz target, so that the targets compile and hold in
// the normal tests. `scripts/fuzz` goes on from here with libFuzzer.

import Settings
import TestSupport
import Testing

@Suite("fuzz targets") struct FuzzTests {
    @Test("every seed and every former finding passes its target", arguments: FuzzTarget.all)
    func replay(_ target: FuzzTarget) throws {
        let run = try target.prepare()
        let files = inputFiles("Seeds/\(target.name)") + inputFiles("Findings/\(target.name)")
        #expect(files.count >= 10, "seeds are where they are looked for")
        for file in files {
            let fault = run(try readFile(path: file, limit: 1 << 20))
            #expect(fault == nil, "\(file)")
        }
        #expect(run([]) == nil)
    }
}

extension FuzzTarget: CustomTestStringConvertible {
    var testDescription: String { name }
}

/// The files of a folder beside this one's, none if it does not exist.
private func inputFiles(_ folder: String) -> [String] {
    let parent = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    return listFiles("/\(parent)/\(folder)")
}
