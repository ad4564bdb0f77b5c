/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts the power of a mounted ext4: power_cut DIRECTORY. What was not flushed to the device is
 * lost, its journal's memory included; everything on it fails with EIO until it is mounted again.
 */
#include <fcntl.h>
#include <linux/types.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* fs/ext4/ext4.h: EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH. */
#define EXT4_SHUTDOWN _IOR('X', 125, __u32)
enum { NO_LOG_FLUSH = 2 };

int main(int argument_count, char **arguments)
{
    uint32_t how = NO_LOG_FLUSH;
    if (argument_count != 2)
        return 2;
    int directory = open(arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || ioctl(directory, EXT4_SHUTDOWN, &how) != 0) {
        perror(arguments[1]);
        return 1;
    }
    close(directory);
    return 0;
}
