// The rhythm of probes, and the clock as people see it.

import Testing

@testable import Health

struct ScheduleTests {
    @Test("a rhythm is the same every time, never slower than the interval, and not in step")
    func rhythm() {
        let interval = Duration.seconds(10)
        let keys = (0..<1_000).map { "pool/origin-\($0)/192.0.2.1" }
        let schedules = keys.map { Schedule(key: $0, interval: interval) }
        #expect(schedules == keys.map { Schedule(key: $0, interval: interval) })
        for schedule in schedules {
            #expect(schedule.period > .seconds(9) - .milliseconds(1) && schedule.period <= interval)
            #expect(schedule.offset > .zero && schedule.offset <= schedule.period)
        }
        // Each tenth of the period gets its share of second probes: 100 on average.
        var tenths = Array(repeating: 0, count: 10)
        for schedule in schedules {
            tenths[min(9, Int(schedule.offset / schedule.period * 10))] += 1
        }
        #expect(tenths.allSatisfy { (60...140).contains($0) }, "\(tenths)")
    }
}

struct TimestampTests {
    @Test(
        "moments are shown in UTC",
        arguments: [
            (0 as Int64, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"), (1_735_689_599, "2024-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
        ])
    func text(seconds: Int64, expected: String) {
        #expect(Timestamp(nanoseconds: seconds * 1_000_000_000).description == expected)
    }
}
