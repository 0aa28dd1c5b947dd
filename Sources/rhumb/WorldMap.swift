// The map of `rhumb simulate --map`: the world as an SVG text, each place coloured by its pool.
//
// Places are gathered in a grid of half a degree and drawn as one path for each size and colour:
// `Grid.mostDots` of at most 12 octets and 19 KB of coasts, so the text stays below 1 MB whatever
// comes in. Same places in the same order: same text.

/// A map being drawn: pools, then places, then `svg`.
struct WorldMap {
    /// Who serves; in the order of the configuration, which decides the colours.
    struct Pool {
        var name: String
        /// In degrees; nil for a pool without a location, which the legend alone shows.
        var location: (latitude: Double, longitude: Double)?
    }

    /// No client weighs more (all of IPv6 is 2^128), so that sums stay finite.
    private static let heaviest = 0x1p200

    let title: String
    let pools: [Pool]
    /// What clients each pool has, placed or not.
    private var weights: [Double]
    /// The weight in a cell of one pool, by `cell * pools.count + pool`.
    private var cells: [Int: Double] = [:]

    init(title: String, pools: [Pool]) {
        self.title = title
        self.pools = pools
        weights = Array(repeating: 0, count: pools.count)
    }

    /// Adds clients to their pool, and to the map if their place is known.
    ///
    /// - Parameters:
    ///   - weight: how much they count, as their addresses; what is not above zero is left out.
    ///   - pool: an index of `pools`.
    mutating func addPlace(latitude: Double?, longitude: Double?, weight: Double, pool: Int) {
        guard pools.indices.contains(pool), weight > 0, weight <= Self.heaviest
        else { return }
        weights[pool] += weight
        guard let latitude, let longitude, let cell = Grid.cell(latitude, longitude) else { return }
        cells[cell * pools.count + pool, default: 0] += weight
    }

    /// The map as an SVG document.
    var svg: String {
        let legend = Legend(pools: pools, weights: weights, top: Frame.bottom + 30)
        let height = Number(legend.bottom + 34)
        let width = Number(Frame.width)
        let font = "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\""
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" \
            width="\(width)" height="\(height)" role="img" \(font) font-size="14">
            <title>\(escaped(title))</title>
            <rect width="\(width)" height="\(height)" fill="#fff"/>
            <text x="20" y="30" font-size="20" font-weight="bold">\(escaped(title))</text>
            <clipPath id="frame"><rect y="\(Number(Frame.top))" width="\(width)" \
            height="\(Number(Frame.bottom - Frame.top))"/></clipPath>
            <g clip-path="url(#frame)">
            <path transform="\(Frame.outlineTransform)" fill="#e9e9e9" stroke="#bdbdbd" \
            stroke-width="1.5" stroke-linejoin="round" fill-rule="evenodd" d="\(WorldOutline.path)"/>

            """
        text += Grid.dots(of: cells, poolCount: pools.count)
        text += "</g>\n"
        text += markers()
        text += legend.text
        text += """
            <text x="20" y="\(Number(legend.bottom + 20))" font-size="11" fill="#767676">\
            A dot is half a degree, coloured by the pool of most of its clients; its area grows with \
            the logarithm of their number. Coasts: Natural Earth.</text>
            </svg>

            """
        return text
    }

    private func markers() -> String {
        var labels = LabelPlaces()
        var placed: [(pool: Int, x: Double, y: Double)] = []
        for (index, pool) in pools.enumerated() {
            guard let (latitude, longitude) = pool.location,
                latitude.isFinite, longitude.isFinite
            else { continue }
            placed.append((index, Frame.x(longitude), Frame.y(latitude)))
            labels.block(x: Frame.x(longitude), y: Frame.y(latitude))
        }
        var leaders = ""
        var shapes = ""
        var names = ""
        for (pool, x, y) in placed {
            let name = pools[pool].name
            let label = labels.place(name, besideX: x, y: y)
            if label.isApart {
                let end = label.x > x ? label.x : label.x + textWidth(name)
                leaders += "M\(Number(x)) \(Number(y))L\(Number(end)) \(Number(label.y - 5))"
            }
            shapes +=
                "<path d=\"M\(Number(x)) \(Number(y - 9))l9 9-9 9-9-9z\" fill=\"\(colour(pool))\""
                + " stroke=\"#000\" stroke-width=\"2\"/>\n"
            names +=
                "<text x=\"\(Number(label.x))\" y=\"\(Number(label.y))\">\(escaped(name))</text>\n"
        }
        // Names last, with a white edge, so that they can be read above everything.
        return (leaders.isEmpty ? "" : "<path stroke=\"#000\" d=\"\(leaders)\"/>\n") + shapes
            + "<g font-weight=\"bold\" stroke=\"#fff\" stroke-width=\"4\" stroke-linejoin=\"round\""
            + " paint-order=\"stroke\">\n\(names)</g>\n"
    }
}

// MARK: - Where things are

/// The equirectangular projection of the drawing: degrees are as long northward as eastward.
private enum Frame {
    static let width = 1_600.0
    static let scale = width / 360
    /// Beyond lie ice and few clients; these are drawn at the edge.
    static let north = 84.0
    static let south = -58.0
    static let top = 46.0
    static let bottom = top + (north - south) * scale

    static func x(_ longitude: Double) -> Double { (min(180, max(-180, longitude)) + 180) * scale }
    static func y(_ latitude: Double) -> Double {
        top + (north - min(north, max(south, latitude))) * scale
    }

    /// From the outline's tenths of degrees.
    static var outlineTransform: String {
        "translate(\(Number(width / 2)) \(Number(y(0)))) scale(.44444)"
    }
}

/// Half degrees: 720 columns from the date line eastward, rows from the north pole southward.
private enum Grid {
    static let columns = 720
    static let rows = 360
    static let sizes = 8
    /// In pixels; a cell is 2.2 wide.
    static let diameters = (smallest: 3.0, largest: 9.0)
    /// More cells than that have no inhabitants; if they have, the lightest are left out.
    static let mostDots = 60_000

    static func cell(_ latitude: Double, _ longitude: Double) -> Int? {
        guard latitude.isFinite, longitude.isFinite, abs(latitude) <= 90, abs(longitude) <= 180
        else { return nil }
        let column = min(columns - 1, Int((longitude + 180) * 2))
        let north = min(rows - 1, Int((90 - latitude) * 2))
        // What lies beyond the frame's edges comes to lie on them.
        return min(Int((90 - Frame.south) * 2) - 1, max(Int((90 - Frame.north) * 2), north))
            * columns + column
    }

    struct Dot {
        var cell: Int
        var pool: Int
        /// Of the cell's heaviest pool.
        var heaviest: Double
        /// Of all pools in the cell.
        var weight: Double
    }

    /// The dots as one path for each size and pool, the small ones last and so on top.
    static func dots(of cells: [Int: Double], poolCount: Int) -> String {
        let dots = gathered(cells, poolCount)
        guard let least = dots.map(\.weight).min(), let most = dots.map(\.weight).max() else {
            return ""
        }
        let span = logarithm(most) - logarithm(least)
        var paths: [Int: [Int]] = [:]
        for dot in dots {
            let part = span > 0 ? (logarithm(dot.weight) - logarithm(least)) / span : 0
            let size = min(sizes - 1, Int(part * Double(sizes)))
            paths[(sizes - 1 - size) * poolCount + dot.pool, default: []].append(dot.cell)
        }
        // A dot is a line of no length with round ends. Coordinates are cells; relative moves are
        // the shortest way to write them.
        let scale = Frame.width / Double(columns)
        let top = Frame.y(0) - Double(rows / 2) * scale
        var text =
            "<g transform=\"translate(0 \(Number(top))) scale(2.22222) translate(.5 .5)\""
            + " fill=\"none\" stroke-linecap=\"round\">\n"
        for (key, cells) in paths.sorted(by: { $0.key < $1.key }) {
            let size = sizes - 1 - key / poolCount
            let areas = (
                diameters.smallest * diameters.smallest, diameters.largest * diameters.largest
            )
            let area = areas.0 + (areas.1 - areas.0) * Double(size) / Double(sizes - 1)
            let width = Number(area.squareRoot() / scale)
            text += "<path stroke=\"\(colour(key % poolCount))\" stroke-width=\"\(width)\" d=\""
            var (x, y) = (0, 0)
            for cell in cells {
                let (column, row) = (cell % columns, cell / columns)
                text += "m\(column - x)\(row < y ? "" : " ")\(row - y)h0"
                (x, y) = (column, row)
            }
            text += "\"/>\n"
        }
        return text + "</g>\n"
    }

    /// One dot a cell, in the order of cells; of many cells the heaviest.
    private static func gathered(_ cells: [Int: Double], _ poolCount: Int) -> [Dot] {
        var dots: [Dot] = []
        // Sorted, since the order of a dictionary is another in each process.
        for (key, weight) in cells.sorted(by: { $0.key < $1.key }) {
            let (cell, pool) = key.quotientAndRemainder(dividingBy: poolCount)
            if let last = dots.indices.last, dots[last].cell == cell {
                dots[last].weight += weight
                if weight > dots[last].heaviest {
                    (dots[last].pool, dots[last].heaviest) = (pool, weight)
                }
            } else {
                dots.append(Dot(cell: cell, pool: pool, heaviest: weight, weight: weight))
            }
        }
        guard dots.count > mostDots else { return dots }
        dots.sort { ($1.weight, $0.cell) < ($0.weight, $1.cell) }
        return dots.prefix(mostDots).sorted { $0.cell < $1.cell }
    }

    /// The logarithm to base 2, straight between powers of two: never off by more than 0.09.
    private static func logarithm(_ value: Double) -> Double {
        Double(value.exponent) + value.significand - 1
    }
}

/// Keeps names of neighbouring pools apart.
private struct LabelPlaces {
    private typealias Box = (left: Double, top: Double, right: Double, bottom: Double)
    private var taken: [Box] = []

    mutating func block(x: Double, y: Double) { taken.append((x - 10, y - 10, x + 10, y + 10)) }

    /// Takes the first free place around a marker; returns the left end of the text's baseline, and
    /// whether it is so far off that a line has to lead there.
    mutating func place(
        _ name: String, besideX x: Double, y: Double
    ) -> (x: Double, y: Double, isApart: Bool) {
        let width = textWidth(name)
        let right = (x: x + 13, y: y + 5)
        let left = (x: x - 13 - width, y: y + 5)
        var candidates = [
            right, left, (x: x - width / 2, y: y - 15), (x: x - width / 2, y: y + 25),
        ]
        let adjacent = candidates.count
        for step in 1...20 {
            let shift = Double(step) * 17
            candidates += [
                (x: right.x + 14, y: right.y + shift), (x: right.x + 14, y: right.y - shift),
                (x: left.x - 14, y: left.y + shift), (x: left.x - 14, y: left.y - shift),
            ]
        }
        for (index, candidate) in candidates.enumerated() {
            let box: Box = (
                candidate.x, candidate.y - 13, candidate.x + width, candidate.y + 4
            )
            guard box.left >= 2, box.right <= Frame.width - 2,
                box.top >= Frame.top, box.bottom <= Frame.bottom,
                !taken.contains(where: {
                    box.left < $0.right && $0.left < box.right
                        && box.top < $0.bottom && $0.top < box.bottom
                })
            else { continue }
            taken.append(box)
            return (candidate.x, candidate.y, index >= adjacent)
        }
        return (right.x, right.y, false)
    }
}

/// The pools with their shares, largest first, in columns below the map.
private struct Legend {
    private(set) var text = ""
    private(set) var bottom: Double

    init(pools: [WorldMap.Pool], weights: [Double], top: Double) {
        let total = weights.reduce(0, +)
        let order = pools.indices.sorted { (weights[$1], $0) < (weights[$0], $1) }
        let widest = pools.map { textWidth($0.name) }.max() ?? 0
        let columnWidth = min(Frame.width - 40, widest + 120)
        let columns = max(1, Int((Frame.width - 40) / columnWidth))
        let rows = (order.count + columns - 1) / columns
        for (place, pool) in order.enumerated() {
            let x = 20 + Double(place / max(1, rows)) * columnWidth
            let y = top + Double(place % max(1, rows)) * 22
            let share = total > 0 ? weights[pool] / total : 0
            text +=
                "<rect x=\"\(Number(x))\" y=\"\(Number(y - 12))\" width=\"14\" height=\"14\""
                + " fill=\"\(colour(pool))\" stroke=\"#000\"/>"
                + "<text x=\"\(Number(x + 72))\" y=\"\(Number(y))\" text-anchor=\"end\">"
                + "\(percent(share))</text>"
                + "<text x=\"\(Number(x + 82))\" y=\"\(Number(y))\">\(escaped(pools[pool].name))</text>\n"
        }
        bottom = top + Double(max(1, rows) - 1) * 22
    }
}

// MARK: - Writing

/// The colour of a pool: seven that people with any colour vision can tell apart (Okabe and Ito,
/// 2008; black is the markers' edge), then hues as far from each other as a golden section puts them.
private func colour(_ pool: Int) -> String {
    let first = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442"]
    guard pool >= first.count else { return first[pool] }
    let turn = Double(pool - first.count) * 0.618_033_988_75 + 0.45
    let hue = (turn - turn.rounded(.down)) * 6
    // Lightness takes turns, since hue alone is what many cannot see.
    let lightness = [0.35, 0.65, 0.5][pool % 3]
    let chroma = (1 - abs(2 * lightness - 1)) * 0.75
    let second = chroma * (1 - abs(hue.truncatingRemainder(dividingBy: 2) - 1))
    let (red, green, blue) =
        switch Int(hue) {
        case 0: (chroma, second, 0.0)
        case 1: (second, chroma, 0.0)
        case 2: (0.0, chroma, second)
        case 3: (0.0, second, chroma)
        case 4: (second, 0.0, chroma)
        default: (chroma, 0.0, second)
        }
    let octets = [red, green, blue].map { Int((($0 + lightness - chroma / 2) * 255).rounded()) }
    return "#" + octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// About what a bold name takes in pixels; wide scripts twice as much.
private func textWidth(_ text: String) -> Double {
    text.unicodeScalars.reduce(0) { $0 + ($1.value < 0x1100 ? 9.5 : 18) }
}

/// A number with one decimal at most, two below ten, written without an exponent.
private struct Number: CustomStringConvertible {
    var description: String

    init(_ value: Double) {
        let hundredths =
            Int((value * (abs(value) < 10 ? 100 : 10)).rounded()) * (abs(value) < 10 ? 1 : 10)
        let (whole, part) = abs(hundredths).quotientAndRemainder(dividingBy: 100)
        description = (hundredths < 0 ? "-" : "") + "\(whole)"
        if part > 0 {
            description += part % 10 == 0 ? ".\(part / 10)" : ".\(part < 10 ? "0" : "")\(part)"
        }
    }
}

/// A share with one decimal; what is there but rounds to nothing says so.
private func percent(_ share: Double) -> String {
    let tenths = Int((share * 1_000).rounded())
    return tenths == 0 && share > 0 ? "&lt;0.1 %" : "\(tenths / 10).\(tenths % 10) %"
}

/// Text as XML takes it; what XML 1.0 cannot hold becomes U+FFFD.
private func escaped(_ text: String) -> String {
    text.unicodeScalars.reduce(into: "") { result, scalar in
        switch scalar {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        case "\0"..<" ", "\u{7F}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
        default: result.unicodeScalars.append(scalar)
        }
    }
}
