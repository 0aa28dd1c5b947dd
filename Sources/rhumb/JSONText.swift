// JSON as the control socket and the state files have it: one line, keys in order, total readers.

import FoundationEssentials

/// JSON in one line, its keys in order, as `snake_case`.
func encodeJSON(_ value: some Encodable, pretty: Bool = false) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    // What is encoded has no number that JSON lacks.
    return (try? encoder.encode(value)).map(Array.init) ?? []
}

/// Reads JSON.
///
/// - Throws: what is wrong with it, in short.
func decodeJSON<Value: Decodable>(
    _ type: Value.Type, _ octets: [UInt8]
) throws(StateError) -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decode(type, octets, decoder)
}

/// Writes what names its keys itself, for a file.
func encodeFile(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(value)).map(Array.init) ?? []
}

/// Reads what names its keys itself.
///
/// - Throws: what is wrong with it, in short.
func decodeFile<Value: Decodable>(
    _ type: Value.Type, _ octets: [UInt8]
) throws(StateError) -> Value {
    try decode(type, octets, JSONDecoder())
}

/// A value, or nil where something else stands.
struct Lenient<Value: Decodable>: Decodable {
    var value: Value?

    init(from decoder: any Decoder) throws {
        value = try? Value(from: decoder)
    }
}

private func decode<Value: Decodable>(
    _ type: Value.Type, _ octets: [UInt8], _ decoder: JSONDecoder
) throws(StateError) -> Value {
    do {
        return try decoder.decode(type, from: Data(octets))
    } catch let error as DecodingError {
        throw StateError(error.inShort)
    } catch {
        throw StateError("not JSON")
    }
}

extension DecodingError {
    fileprivate var inShort: String {
        switch self {
        case .keyNotFound(let key, let context):
            "the key \"\(key.stringValue)\" is missing\(place(context))"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "something else is expected\(place(context))"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            "out of range\(place(context))"
        default: "not JSON"
        }
    }

    private func place(_ context: Context) -> String {
        let path = context.codingPath.map {
            $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)"
        }.joined()
        return path.isEmpty ? "" : " in \(path.hasPrefix(".") ? String(path.dropFirst()) : path)"
    }
}
