// Whether an answer is one to its query: the header, the question, the code, the client's prefix.

import DNSWire

/// What is wrong with an answer.
public enum AnswerFault: UInt8, Sendable, CaseIterable {
    /// Too short, no response, or not to be read to its end.
    case malformed
    /// To another question (RFC 5452, section 9.1).
    case otherQuestion
    /// With another code or emptier than expected.
    case otherAnswer
    /// Without the client's prefix as it was sent (RFC 7871, section 7.3).
    case otherClient

    public var text: String {
        switch self {
        case .malformed: "malformed"
        case .otherQuestion: "to another question"
        case .otherAnswer: "other than expected"
        case .otherClient: "for another client"
        }
    }
}

/// Returns what is wrong with an answer whose ID is right; nil if nothing is.
func fault(of answer: Span<UInt8>, to query: Span<UInt8>, _ row: QueryList.Row) -> AnswerFault? {
    let questionEnd = Int(row.questionEnd)
    guard answer.count >= 12, answer[2] & 0x80 != 0 else { return .malformed }
    guard answer.count >= questionEnd, answer.uint16(at: 4) == 1 else { return .otherQuestion }
    for index in 12..<questionEnd where answer[index] != query[index] { return .otherQuestion }
    let code = UInt16(answer[3] & 0x0F)
    let records = answer.uint16(at: 6)
    let isExpected =
        switch row.expectation {
        case .known: code == ResponseCode.noError || code == ResponseCode.nameError
        case .answer: code == ResponseCode.noError && records > 0
        case .nodata: code == ResponseCode.noError && records == 0
        case .nxdomain: code == ResponseCode.nameError
        case .refused: code == ResponseCode.refused
        }
    guard isExpected else { return .otherAnswer }
    guard row.subnetStart > 0 else { return nil }
    switch subnetStart(in: answer, after: questionEnd) {
    case .none: return .malformed
    case .some(0): return .otherClient
    case .some(let start):
        let theirs = Int(row.subnetStart)
        // Family, source length and address; the scope between them is the server's.
        for offset in 0..<query.count - theirs where offset != 3 {
            guard start + offset < answer.count,
                answer[start + offset] == query[theirs + offset]
            else { return .otherClient }
        }
        return nil
    }
}

/// Where the family of the answer's ECS option stands; 0 if it has none, nil if the message is
/// malformed.
private func subnetStart(in answer: Span<UInt8>, after questionEnd: Int) -> Int? {
    var position = questionEnd
    let records =
        Int(answer.uint16(at: 6)) + Int(answer.uint16(at: 8)) + Int(answer.uint16(at: 10))
    for _ in 0..<records {
        while position < answer.count, answer[position] > 0, answer[position] < 0xC0 {
            position += Int(answer[position]) + 1
        }
        guard position < answer.count else { return nil }
        position += answer[position] == 0 ? 1 : 2
        guard position + 10 <= answer.count else { return nil }
        let isOPT = answer.uint16(at: position) == RecordType.opt.code
        let end = position + 10 + Int(answer.uint16(at: position + 8))
        guard end <= answer.count else { return nil }
        position += 10
        while isOPT, position + 4 <= end {
            let length = Int(answer.uint16(at: position + 2))
            guard position + 4 + length <= end else { return nil }
            if answer.uint16(at: position) == EDNSOption.clientSubnet, length >= 4 {
                return position + 4
            }
            position += 4 + length
        }
        position = end
    }
    return 0
}
