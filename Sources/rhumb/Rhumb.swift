@main struct Rhumb { static func main() {} }
