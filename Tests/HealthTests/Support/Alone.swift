// Where tests belong whose expectations have to do with time, or that load the machine.

import Testing

/// Suites within it run one test at a time: neighbours that load the machine would be seen as
/// origins that are slow.
@Suite(.serialized)
enum Alone {}
