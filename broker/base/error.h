/* SPDX-License-Identifier: Apache-2.0 */
/* Every way an operation can end, in one list; the Kafka code and the errno of a row are used only
 * at the two doors (broker/handle and fs), never below them.
 *
 * Kafka codes: org.apache.kafka.common.protocol.Errors. errno: what the shell prints for it. */
#ifndef BROKER_BASE_ERROR_H
#define BROKER_BASE_ERROR_H

#include <stdint.h>

/*    name                      Kafka errno          text */
#define ERROR_LIST(X)                                                                              \
    X(NONE, 0, 0, "no error")                                                                      \
    X(UNKNOWN_SERVER, -1, EIO, "unexpected error")                                                 \
    X(OFFSET_OUT_OF_RANGE, 1, ERANGE, "the offset is not in the log")                              \
    X(CORRUPT_MESSAGE, 2, EBADMSG, "the batch is damaged")                                         \
    X(UNKNOWN_TOPIC_OR_PARTITION, 3, ENOENT, "no such topic or partition")                         \
    X(LEADER_NOT_AVAILABLE, 5, ETIMEDOUT, "the partition has no leader")                           \
    X(NOT_LEADER_OR_FOLLOWER, 6, ETIMEDOUT, "this node does not lead the partition")               \
    X(REQUEST_TIMED_OUT, 7, ETIMEDOUT, "not acknowledged in time")                                 \
    X(MESSAGE_TOO_LARGE, 10, EMSGSIZE, "larger than max.message.bytes")                            \
    X(OFFSET_METADATA_TOO_LARGE, 12, EMSGSIZE, "offset metadata too large")                        \
    X(NETWORK, 13, ETIMEDOUT, "the connection to the other node was lost")                         \
    X(COORDINATOR_LOAD_IN_PROGRESS, 14, ETIMEDOUT, "the coordinator is loading")                   \
    X(COORDINATOR_NOT_AVAILABLE, 15, ETIMEDOUT, "no coordinator is available")                     \
    X(NOT_COORDINATOR, 16, ETIMEDOUT, "this node does not coordinate the group")                   \
    X(INVALID_TOPIC, 17, EINVAL, "not a valid topic name")                                         \
    X(RECORD_LIST_TOO_LARGE, 18, EMSGSIZE, "larger than segment.bytes")                            \
    X(NOT_ENOUGH_REPLICAS, 19, ETIMEDOUT, "fewer in-sync replicas than min.insync.replicas")       \
    X(NOT_ENOUGH_REPLICAS_AFTER_APPEND, 20, EIO, "written, but to too few in-sync replicas")       \
    X(INVALID_REQUIRED_ACKS, 21, EINVAL, "acks is not 0, 1 or -1")                                 \
    X(ILLEGAL_GENERATION, 22, EINVAL, "not the group's generation")                                \
    X(INCONSISTENT_GROUP_PROTOCOL, 23, EINVAL, "no protocol common to the group")                  \
    X(INVALID_GROUP_ID, 24, EINVAL, "not a valid group id")                                        \
    X(UNKNOWN_MEMBER_ID, 25, ENOENT, "not a member of the group")                                  \
    X(INVALID_SESSION_TIMEOUT, 26, EINVAL, "session timeout out of bounds")                        \
    X(REBALANCE_IN_PROGRESS, 27, EBUSY, "the group is rebalancing")                                \
    X(TOPIC_AUTHORIZATION_FAILED, 29, EACCES, "not authorized for the topic")                      \
    X(GROUP_AUTHORIZATION_FAILED, 30, EACCES, "not authorized for the group")                      \
    X(CLUSTER_AUTHORIZATION_FAILED, 31, EACCES, "not authorized for the cluster")                  \
    X(INVALID_TIMESTAMP, 32, EINVAL, "timestamp out of range")                                     \
    X(UNSUPPORTED_SASL_MECHANISM, 33, EINVAL, "SASL mechanism not enabled")                        \
    X(ILLEGAL_SASL_STATE, 34, EINVAL, "request not allowed in this SASL state")                    \
    X(UNSUPPORTED_VERSION, 35, EINVAL, "version not supported")                                    \
    X(TOPIC_ALREADY_EXISTS, 36, EEXIST, "the topic exists")                                        \
    X(INVALID_PARTITIONS, 37, EINVAL, "invalid number of partitions")                              \
    X(INVALID_REPLICATION_FACTOR, 38, EINVAL, "invalid replication factor")                        \
    X(INVALID_REPLICA_ASSIGNMENT, 39, EINVAL, "invalid replica assignment")                        \
    X(INVALID_CONFIG, 40, EINVAL, "invalid configuration")                                         \
    X(NOT_CONTROLLER, 41, ETIMEDOUT, "this node is not the controller")                            \
    X(INVALID_REQUEST, 42, EINVAL, "invalid request")                                              \
    X(UNSUPPORTED_FOR_MESSAGE_FORMAT, 43, EINVAL, "message format too old")                        \
    X(POLICY_VIOLATION, 44, EPERM, "refused by policy")                                            \
    X(OUT_OF_ORDER_SEQUENCE_NUMBER, 45, EIO, "producer sequence out of order")                     \
    X(DUPLICATE_SEQUENCE_NUMBER, 46, EIO, "duplicate producer sequence")                           \
    X(INVALID_PRODUCER_EPOCH, 47, EIO, "an older producer epoch")                                  \
    X(INVALID_TXN_STATE, 48, EIO, "not allowed in this transaction state")                         \
    X(INVALID_PRODUCER_ID_MAPPING, 49, EIO, "producer id is not the transactional id's")           \
    X(INVALID_TRANSACTION_TIMEOUT, 50, EINVAL, "transaction timeout out of bounds")                \
    X(CONCURRENT_TRANSACTIONS, 51, ETIMEDOUT, "another transaction is in progress")                \
    X(TRANSACTION_COORDINATOR_FENCED, 52, EIO, "an older transaction coordinator")                 \
    X(TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 53, EACCES, "not authorized for transactional id")    \
    X(SECURITY_DISABLED, 54, EOPNOTSUPP, "security is disabled")                                   \
    X(OPERATION_NOT_ATTEMPTED, 55, EIO, "not attempted")                                           \
    X(STORAGE, 56, EIO, "the disk refused a read or write")                                        \
    X(LOG_DIR_NOT_FOUND, 57, ENOENT, "no such log directory")                                      \
    X(SASL_AUTHENTICATION_FAILED, 58, EACCES, "authentication failed")                             \
    X(UNKNOWN_PRODUCER_ID, 59, EIO, "unknown producer id")                                         \
    X(REASSIGNMENT_IN_PROGRESS, 60, EBUSY, "a reassignment is in progress")                        \
    X(INVALID_FETCH_SESSION_EPOCH, 71, EINVAL, "wrong fetch session epoch")                        \
    X(FETCH_SESSION_ID_NOT_FOUND, 70, ENOENT, "no such fetch session")                             \
    X(NON_EMPTY_GROUP, 68, EBUSY, "the group has members")                                         \
    X(GROUP_ID_NOT_FOUND, 69, ENOENT, "no such group")                                             \
    X(LISTENER_NOT_FOUND, 72, ENOENT, "no matching listener")                                      \
    X(TOPIC_DELETION_DISABLED, 73, EPERM, "topic deletion is disabled")                            \
    X(FENCED_LEADER_EPOCH, 74, ETIMEDOUT, "an older leader epoch")                                 \
    X(UNKNOWN_LEADER_EPOCH, 75, ETIMEDOUT, "a newer leader epoch")                                 \
    X(UNSUPPORTED_COMPRESSION_TYPE, 76, EINVAL, "compression type not supported")                  \
    X(STALE_BROKER_EPOCH, 77, EIO, "an older broker epoch")                                        \
    X(OFFSET_NOT_AVAILABLE, 78, ETIMEDOUT, "the offset is not known yet")                          \
    X(MEMBER_ID_REQUIRED, 79, EINVAL, "a member id is required")                                   \
    X(PREFERRED_LEADER_NOT_AVAILABLE, 80, ETIMEDOUT, "the preferred leader is not available")      \
    X(GROUP_MAX_SIZE_REACHED, 81, EUSERS, "the group is full")                                     \
    X(FENCED_INSTANCE_ID, 82, EBUSY, "another member has this instance id")                        \
    X(ELIGIBLE_LEADERS_NOT_AVAILABLE, 83, ETIMEDOUT, "no eligible leader")                         \
    X(ELECTION_NOT_NEEDED, 84, EALREADY, "no election is needed")                                  \
    X(NO_REASSIGNMENT_IN_PROGRESS, 85, ENOENT, "no reassignment is in progress")                   \
    X(GROUP_SUBSCRIBED_TO_TOPIC, 86, EBUSY, "the group is subscribed to the topic")                \
    X(INVALID_RECORD, 87, EINVAL, "the record was refused")                                        \
    X(UNSTABLE_OFFSET_COMMIT, 88, ETIMEDOUT, "offsets of a transaction are pending")               \
    X(THROTTLING_QUOTA_EXCEEDED, 89, EDQUOT, "quota exceeded")                                     \
    X(PRODUCER_FENCED, 90, EIO, "a newer producer fenced this one")                                \
    X(DUPLICATE_RESOURCE, 92, EEXIST, "the resource exists")                                       \
    X(INCONSISTENT_CLUSTER_ID, 104, EINVAL, "another cluster's id")                                \
    X(UNKNOWN_TOPIC_ID, 100, ENOENT, "no such topic id")                                           \
    X(INCONSISTENT_TOPIC_ID, 103, ENOENT, "the log has another topic id")                          \
    X(FETCH_SESSION_TOPIC_ID_ERROR, 106, EINVAL, "session mixes topic names and ids")              \
    X(BROKER_ID_NOT_REGISTERED, 102, ENOENT, "no such node")                                       \
    X(INELIGIBLE_REPLICA, 107, EINVAL, "a replica is not eligible for the ISR")                    \
    X(NEW_LEADER_ELECTED, 108, EIO, "a new leader was elected")                                    \
    X(TRANSACTIONAL_ID_NOT_FOUND, 105, ENOENT, "no such transactional id")                         \
    X(INVALID_UPDATE_VERSION, 95, ETIMEDOUT, "the partition has changed meanwhile")                \
    X(FEATURE_UPDATE_FAILED, 96, EINVAL, "the feature update was refused")                         \
    X(DUPLICATE_BROKER_REGISTRATION, 101, EEXIST, "another live node has this id")                 \
    X(MISMATCHED_ENDPOINT_TYPE, 114, EINVAL, "endpoint type of another listener")                  \
    X(UNSUPPORTED_ENDPOINT_TYPE, 115, EINVAL, "endpoint type not supported")                       \
    X(REBOOTSTRAP_REQUIRED, 129, EIO, "the client must bootstrap again")                           \
    /* The rows below are ours: a Kafka client sees the nearest code. */                           \
    X(OUT_OF_MEMORY, 56, ENOMEM, "out of memory")                                                  \
    X(DISK_FULL, 56, ENOSPC, "no space left on the disk")                                          \
    X(NOT_FOUND, 3, ENOENT, "not found")                                                           \
    X(EXISTS, 36, EEXIST, "exists")                                                                \
    X(CLOSING, 6, ESHUTDOWN, "the node is stopping")                                               \
    X(INTERRUPTED, 7, EINTR, "interrupted")                                                        \
    X(TOO_LARGE, 42, EMSGSIZE, "larger than the limit")                                            \
    X(MALFORMED, 42, EBADMSG, "malformed")                                                         \
    X(QUOTA_EXCEEDED, 44, EDQUOT, "a quota is used up")                                            \
    X(TOO_MANY_OPEN_FILES, 44, ENFILE, "too many open files")                                      \
    X(NOT_PERMITTED, 44, EPERM, "not permitted")                                                   \
    X(READ_ONLY, 44, EROFS, "mounted read-only")                                                   \
    X(STALE, 3, ESTALE, "deleted while open")

enum error {
#define ERROR_ROW(name, kafka, errno_value, text) ERROR_##name,
    ERROR_LIST(ERROR_ROW)
#undef ERROR_ROW
        ERROR_COUNT
};

/* The Kafka error code that answers `error` on the wire. */
int16_t error_to_kafka(enum error error);

/* The error that another node's answer means: the first row with the code, so never one of ours;
 * UNKNOWN_SERVER for a code no row has. */
enum error error_from_kafka(int16_t code);

/* The positive errno that answers `error` on the mount; 0 for ERROR_NONE. */
int error_to_errno(enum error error);

/* One lower-case clause, never NULL. */
const char *error_text(enum error error);

/* The name as Kafka prints it, e.g. "NOT_LEADER_OR_FOLLOWER". */
const char *error_name(enum error error);

/* The row for an errno from the disk: DISK_FULL for ENOSPC and EDQUOT, NOT_FOUND, EXISTS,
 * OUT_OF_MEMORY, INTERRUPTED, otherwise STORAGE. */
enum error error_from_errno(int errno_value);

/* Where an operation failed, for a person. Each layer prepends its step:
 * "recover orders/3: open segment 4096: the disk refused a read or write".
 * Pass NULL where nobody will print it. */
struct failure {
    enum error code;
    char where[240];
};

/* Records `code` unless the failure already holds one, and prepends the formatted step.
 * Returns `code`, so that a caller can write `return failure_at(...)`. Accepts NULL. */
enum error failure_at(struct failure *failure, enum error code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a first step that says everything itself: the code's own text is left out. */
enum error failure_because(struct failure *failure, enum error code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
