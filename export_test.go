package httpserver

// This file is the door of external tests into the package.

// Portable reports whether this is the code for systems that have none of their own.
const Portable = copyLimit == smallBody
