// What Swift's view of glibc lacks, as static inlines (see Transport).
#ifndef CLINUX_H
#define CLINUX_H
#endif
