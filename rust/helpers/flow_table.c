// SPDX-License-Identifier: GPL-2.0
#include <linux/rhashtable.h>
#include "helpers.h"

static u32 hash_key(const void *data, u32 len, u32 seed)
{
	const struct toe_flow_key *key = data;

	return ((u64)(key->hash ^ seed) * 0x9e3779b97f4a7c15ULL) >> 32;
}

static int compare_key(struct rhashtable_compare_arg *arg, const void *obj)
{
	const struct toe_flow_key *a = arg->key;
	const struct toe_flow_key *b = &((const struct toe_flow_node *)obj)->key;

	return ((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1]) |
		(a->words[2] ^ b->words[2]) | (a->words[3] ^ b->words[3]) |
		(a->words[4] ^ b->words[4])) != 0;
}

static const struct rhashtable_params flow_params = {
	.key_len = sizeof(struct toe_flow_key),
	.key_offset = offsetof(struct toe_flow_node, key),
	.head_offset = offsetof(struct toe_flow_node, head),
	.hashfn = hash_key,
	.obj_cmpfn = compare_key,
	.automatic_shrinking = true,
};

int toe_helper_flow_table_init(struct rhashtable *table)
{
	return rhashtable_init(table, &flow_params);
}

struct toe_flow_node *toe_helper_flow_lookup(struct rhashtable *table,
					     const struct toe_flow_key *key)
{
	return rhashtable_lookup(table, key, flow_params);
}

int toe_helper_flow_insert(struct rhashtable *table, struct toe_flow_node *node)
{
	return rhashtable_lookup_insert_fast(table, &node->head, flow_params);
}

/* Looks up and removes; NULL when there is none, or another caller has removed it first. */
struct toe_flow_node *toe_helper_flow_remove(struct rhashtable *table,
					     const struct toe_flow_key *key)
{
	struct toe_flow_node *node;

	rcu_read_lock();
	node = rhashtable_lookup(table, key, flow_params);
	if (node && rhashtable_remove_fast(table, &node->head, flow_params))
		node = NULL;
	rcu_read_unlock();
	return node;
}
