/* SPDX-License-Identifier: Apache-2.0 */
/* Included before every file of the program: calls to functions that overflow, share static state
 * or hide bad input do not compile. The error names the function and what to use instead.
 *
 * The system's own headers come first, so that their declarations are not touched. */
#ifndef BROKER_BASE_BANNED_H
#define BROKER_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strtok
#undef atoi
#undef atol
#undef atof
#undef gmtime
#undef localtime
#undef gets

#define strcpy(...) strcpy_is_banned_use_memcpy_or_snprintf
#define strcat(...) strcat_is_banned_use_snprintf
#define sprintf(...) sprintf_is_banned_use_snprintf
#define vsprintf(...) vsprintf_is_banned_use_vsnprintf
#define strtok(...) strtok_is_banned_use_strtok_r_or_a_slice
#define atoi(...) atoi_is_banned_use_strtol_and_check
#define atol(...) atol_is_banned_use_strtol_and_check
#define atof(...) atof_is_banned_use_strtod_and_check
#define gmtime(...) gmtime_is_banned_use_gmtime_r
#define localtime(...) localtime_is_banned_use_localtime_r
#define gets(...) gets_is_banned_use_fgets

#endif
