/* SPDX-License-Identifier: Apache-2.0 */
/* Names, their order, and what a power cut leaves of them. */
#include "sim/simulated_tree.h"

#include "base/assertion.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES_MAX = 255, SWEEP_FIRST = 256 };

/* A name that came (to), went (from) or moved (both). */
struct name_change {
    struct list link;
    struct simulated_inode *from;
    char *from_name;
    struct simulated_inode *to;
    char *to_name;
    struct simulated_inode *inode;
    bool flagged; /* Scratch of simulated_tree_sync. */
};

/* The place of `text`, or where it would be inserted. */
static size_t names_place(const struct simulated_names *names, const char *text, size_t size)
{
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *other = names->items[middle].text;
        int order = strncmp(other, text, size);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct simulated_inode *names_get(const struct simulated_names *names, const char *text,
                                         size_t size)
{
    size_t place = names_place(names, text, size);
    if (place == names->count)
        return NULL;
    /* The name itself sorts before longer ones with the same beginning. */
    const struct simulated_name *name = &names->items[place];
    bool same = strncmp(name->text, text, size) == 0 && name->text[size] == '\0';
    return same ? name->inode : NULL;
}

static void names_set(struct simulated_names *names, const char *text,
                      struct simulated_inode *inode)
{
    size_t size = strlen(text);
    size_t place = names_place(names, text, size);
    if (place < names->count && strcmp(names->items[place].text, text) == 0) {
        names->items[place].inode = inode;
        return;
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity * 2 + 4;
        names->items = simulation_resize(names->items, names->capacity * sizeof names->items[0]);
    }
    memmove(&names->items[place + 1], &names->items[place],
            (names->count - place) * sizeof names->items[0]);
    names->items[place] = (struct simulated_name){simulation_copy_text(text), inode};
    names->count++;
}

static void names_unset(struct simulated_names *names, const char *text)
{
    size_t place = names_place(names, text, strlen(text));
    if (place == names->count || strcmp(names->items[place].text, text) != 0)
        return;
    free(names->items[place].text);
    names->count--;
    memmove(&names->items[place], &names->items[place + 1],
            (names->count - place) * sizeof names->items[0]);
}

static void names_done(struct simulated_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i].text);
    free(names->items);
    *names = (struct simulated_names){.items = NULL};
}

static struct simulated_inode *inode_new(struct simulated_tree *tree, bool is_directory)
{
    struct simulated_inode *inode = simulation_allocate(sizeof *inode);
    inode->is_directory = is_directory;
    simulated_contents_init(&inode->contents);
    list_push(&tree->inodes, &inode->link);
    tree->inode_count++;
    return inode;
}

static void inode_free(struct simulated_tree *tree, struct simulated_inode *inode)
{
    ASSERT(inode->handles == 0);
    ASSERT(inode->used == 0);
    list_remove(&inode->link);
    tree->inode_count--;
    names_done(&inode->current);
    names_done(&inode->synced);
    simulated_contents_done(&inode->contents);
    free(inode);
}

static void change_apply(struct name_change *change)
{
    if (change->from != NULL)
        names_unset(&change->from->synced, change->from_name);
    if (change->to != NULL)
        names_set(&change->to->synced, change->to_name, change->inode);
}

static void change_free(struct name_change *change)
{
    list_remove(&change->link);
    free(change->from_name);
    free(change->to_name);
    free(change);
}

void simulated_tree_init(struct simulated_tree *tree)
{
    *tree = (struct simulated_tree){.sweep_at = SWEEP_FIRST};
    list_init(&tree->inodes);
    list_init(&tree->changes);
    tree->root = inode_new(tree, true);
    tree->root->linked = true;
}

void simulated_tree_done(struct simulated_tree *tree)
{
    list_for_each_safe(link, &tree->changes)
        change_free(container_of(link, struct name_change, link));
    list_for_each_safe(link, &tree->inodes)
    {
        struct simulated_inode *inode = container_of(link, struct simulated_inode, link);
        inode->used = 0;
        inode_free(tree, inode);
    }
}

static void reach(struct simulated_inode *inode)
{
    if (inode == NULL || inode->reached)
        return;
    inode->reached = true;
    for (size_t i = 0; i < inode->current.count; i++)
        reach(inode->current.items[i].inode);
    for (size_t i = 0; i < inode->synced.count; i++)
        reach(inode->synced.items[i].inode);
}

/* Frees what no name, waiting change or open file leads to any more. */
static void sweep(struct simulated_tree *tree)
{
    list_for_each(link, &tree->inodes)
    {
        struct simulated_inode *inode = container_of(link, struct simulated_inode, link);
        inode->reached = false;
    }
    reach(tree->root);
    list_for_each(link, &tree->changes)
    {
        struct name_change *change = container_of(link, struct name_change, link);
        reach(change->from);
        reach(change->to);
        reach(change->inode);
    }
    list_for_each_safe(link, &tree->inodes)
    {
        struct simulated_inode *inode = container_of(link, struct simulated_inode, link);
        if (!inode->reached && inode->handles == 0)
            inode_free(tree, inode);
    }
    tree->sweep_at = tree->inode_count * 2 + SWEEP_FIRST;
}

void simulated_tree_charge(struct simulated_tree *tree, struct simulated_inode *inode)
{
    bool counts = !inode->is_directory && (inode->linked || inode->handles > 0);
    uint64_t used = counts ? inode->contents.current.size : 0;
    tree->used_bytes += used - inode->used;
    inode->used = used;
}

enum error simulated_tree_find(struct simulated_tree *tree, const char *path,
                               struct simulated_place *ret_place)
{
    ASSERT(path[0] != '/');
    struct simulated_inode *directory = tree->root;
    if (path[0] == '\0') {
        *ret_place = (struct simulated_place){NULL, path, directory};
        return ERROR_NONE;
    }

    for (const char *at = path;;) {
        const char *slash = strchr(at, '/');
        size_t size = slash == NULL ? strlen(at) : (size_t)(slash - at);
        ASSERT(size > 0);
        ASSERT(!(size <= 2 && strncmp(at, "..", size) == 0)); /* Neither "." nor "..". */
        if (size > NAME_BYTES_MAX)
            return ERROR_STORAGE;
        struct simulated_inode *inode = names_get(&directory->current, at, size);
        if (slash == NULL) {
            *ret_place = (struct simulated_place){directory, at, inode};
            return ERROR_NONE;
        }
        if (inode == NULL)
            return ERROR_NOT_FOUND;
        if (!inode->is_directory)
            return ERROR_STORAGE;
        directory = inode;
        at = slash + 1;
    }
}

static void change_add(struct simulated_tree *tree, const struct simulated_place *from,
                       const struct simulated_place *to, struct simulated_inode *inode)
{
    struct name_change *change = simulation_allocate(sizeof *change);
    change->inode = inode;
    if (from != NULL) {
        change->from = from->directory;
        change->from_name = simulation_copy_text(from->name);
        names_unset(&from->directory->current, from->name);
    }
    if (to != NULL) {
        change->to = to->directory;
        change->to_name = simulation_copy_text(to->name);
        names_set(&to->directory->current, to->name, inode);
    }
    list_push(&tree->changes, &change->link);
    inode->linked = to != NULL;
    simulated_tree_charge(tree, inode);
}

struct simulated_inode *simulated_tree_make(struct simulated_tree *tree,
                                            const struct simulated_place *place, bool is_directory)
{
    ASSERT(place->inode == NULL);
    if (tree->inode_count >= tree->sweep_at)
        sweep(tree);
    struct simulated_inode *inode = inode_new(tree, is_directory);
    change_add(tree, NULL, place, inode);
    return inode;
}

void simulated_tree_remove(struct simulated_tree *tree, const struct simulated_place *place)
{
    struct simulated_inode *inode = place->inode;
    ASSERT(inode != NULL);
    ASSERT(inode != tree->root);
    while (inode->current.count > 0) {
        char *text = simulation_copy_text(inode->current.items[0].text);
        struct simulated_place below = {inode, text, inode->current.items[0].inode};
        simulated_tree_remove(tree, &below);
        free(text);
    }
    change_add(tree, place, NULL, inode);
}

static bool is_below(const struct simulated_inode *inode, const struct simulated_inode *directory)
{
    if (inode == directory)
        return true;
    for (size_t i = 0; i < directory->current.count; i++)
        if (is_below(inode, directory->current.items[i].inode))
            return true;
    return false;
}

enum error simulated_tree_rename(struct simulated_tree *tree, const struct simulated_place *from,
                                 const struct simulated_place *to)
{
    struct simulated_inode *moved = from->inode;
    struct simulated_inode *replaced = to->inode;
    if (moved == NULL)
        return ERROR_NOT_FOUND;
    if (moved == replaced)
        return ERROR_NONE;
    if (moved->is_directory && is_below(to->directory, moved))
        return ERROR_STORAGE;
    if (replaced != NULL && replaced->is_directory != moved->is_directory)
        return ERROR_STORAGE;
    if (replaced != NULL && replaced->current.count > 0)
        return ERROR_EXISTS;

    change_add(tree, from, to, moved);
    if (replaced != NULL) {
        replaced->linked = false;
        simulated_tree_charge(tree, replaced);
    }
    return ERROR_NONE;
}

static bool flagged(const struct simulated_inode *inode)
{
    return inode != NULL && inode->flagged;
}

static void flag(struct simulated_inode *inode)
{
    if (inode != NULL)
        inode->flagged = true;
}

static void unflag_all(struct simulated_tree *tree)
{
    list_for_each(link, &tree->inodes)
    {
        container_of(link, struct simulated_inode, link)->flagged = false;
    }
}

void simulated_tree_sync(struct simulated_tree *tree, struct simulated_inode *directory)
{
    ASSERT(directory->is_directory);
    unflag_all(tree);
    directory->flagged = true;
    /* From the newest back: a move takes all that came before it in its other directory along. */
    for (struct list *link = tree->changes.previous; link != &tree->changes;
         link = link->previous) {
        struct name_change *change = container_of(link, struct name_change, link);
        change->flagged = flagged(change->from) || flagged(change->to);
        if (change->flagged) {
            flag(change->from);
            flag(change->to);
        }
    }
    list_for_each_safe(link, &tree->changes)
    {
        struct name_change *change = container_of(link, struct name_change, link);
        if (change->flagged) {
            change_apply(change);
            change_free(change);
        }
    }
}

void simulated_tree_sync_all(struct simulated_tree *tree)
{
    list_for_each_safe(link, &tree->changes)
    {
        struct name_change *change = container_of(link, struct name_change, link);
        change_apply(change);
        change_free(change);
    }
    list_for_each(link, &tree->inodes)
    {
        simulated_contents_sync(&container_of(link, struct simulated_inode, link)->contents);
    }
}

void simulated_tree_sync_all_failed(struct simulated_tree *tree, struct random *random)
{
    list_for_each(link, &tree->inodes)
    {
        struct simulated_contents *contents =
            &container_of(link, struct simulated_inode, link)->contents;
        if (list_empty(&contents->changes) || random_chance(random, 1, 2))
            continue;
        simulated_contents_sync_failed(contents, random);
        contents->write_failed = true;
    }
}

/* After a power cut: the names are what is synced, and so are the contents. */
static void restore(struct simulated_tree *tree, struct simulated_inode *inode,
                    struct random *random)
{
    inode->linked = true;
    names_done(&inode->current);
    simulated_contents_crash(&inode->contents, random);
    simulated_tree_charge(tree, inode);
    for (size_t i = 0; i < inode->synced.count; i++) {
        const struct simulated_name *name = &inode->synced.items[i];
        names_set(&inode->current, name->text, name->inode);
        restore(tree, name->inode, random);
    }
}

void simulated_tree_crash(struct simulated_tree *tree, struct random *random)
{
    /* Flagged: nothing later of this directory is kept. */
    unflag_all(tree);
    list_for_each_safe(link, &tree->changes)
    {
        struct name_change *change = container_of(link, struct name_change, link);
        bool kept = !flagged(change->from) && !flagged(change->to) && random != NULL &&
                    random_chance(random, 3, 4);
        if (kept) {
            change_apply(change);
        } else {
            flag(change->from);
            flag(change->to);
        }
        change_free(change);
    }

    list_for_each(link, &tree->inodes)
    {
        struct simulated_inode *inode = container_of(link, struct simulated_inode, link);
        ASSERT(inode->handles == 0);
        inode->linked = false;
        simulated_tree_charge(tree, inode);
    }
    ASSERT(tree->used_bytes == 0);
    restore(tree, tree->root, random);
    sweep(tree);
}

static uint64_t names_hash(const struct simulated_names *names, uint64_t hash)
{
    for (size_t i = 0; i < names->count; i++)
        hash = simulated_hash(hash, names->items[i].text, strlen(names->items[i].text));
    return simulated_hash(hash, &names->count, sizeof names->count);
}

static uint64_t inode_hash(const struct simulated_inode *inode, uint64_t hash)
{
    hash = names_hash(&inode->current, hash);
    hash = names_hash(&inode->synced, hash);
    hash = simulated_contents_hash(&inode->contents, hash);
    for (size_t i = 0; i < inode->current.count; i++)
        hash = inode_hash(inode->current.items[i].inode, hash);
    return hash;
}

uint64_t simulated_tree_hash(const struct simulated_tree *tree)
{
    return inode_hash(tree->root, 0);
}
