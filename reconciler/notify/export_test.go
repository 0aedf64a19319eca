package notify

// Describe is for tests.
var Describe = describe
