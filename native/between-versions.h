/*
 * The protocol between versions: all that a process of one build reads that one of another build has written, in an
 * upgrade (supervisor/upgrade.c) and after one that was given up.
 *
 *   pv-xconnect --resumes N      the running supervisor asks the image that is to take its place
 *   the state                    the image reads what the supervisor was (supervisor/state.c); N is in its first line
 *   ZN, HN                       the new supervisor has the old daemon, broker and relay freeze, and hand over
 *   zN                           the old daemon's answer
 *   BEGIN, HELLO                 the old broker's stream to the new one, the old relay's to the new one; N is in it
 *   RECORD_BEGIN                 the new daemon begins with the pvx-bus that is there; N is in it
 *   PVX_BETWEEN_VERSIONS         a daemon is told of the supervisor that starts it: where a package was replaced by
 *                                another without an upgrade, or after one that was given up, the code is another's
 *   and without one: further words of that conversation; the options, descriptors and variables that children are
 *   started with, as the new supervisor may have to start an old child; notes of links, which the new daemon reads
 *
 * N is changed when any of it is, and both numbers have to be the same: otherwise there is no upgrade, or no daemon, and a
 * sentence says that a restart has the other version. src/kernel/between-versions.ts has the same number.
 */
#ifndef PVX_BETWEEN_VERSIONS_H
#define PVX_BETWEEN_VERSIONS_H

#define PVX_BETWEEN_VERSIONS 2
#define TEXT_OF_WORD(word) #word
#define TEXT_OF(number) TEXT_OF_WORD(number)

/* Of --resumes: this image's number is another one. */
#define EXIT_OTHER_PROTOCOL 65

#endif
