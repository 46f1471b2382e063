// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/slab.h>
#include <net/devlink.h>
#include "helpers.h"

#if IS_ENABLED(CONFIG_NET_DEVLINK)

/* A devlink instance with one health reporter, whose driver recovers by itself. */
struct toe_health {
	const void *owner;
	toe_health_dump_t dump;
	struct devlink_health_reporter_ops ops;
	struct devlink_health_reporter *reporter;
};

static const struct devlink_ops toe_devlink_ops = {};

static int toe_health_dump(struct devlink_health_reporter *reporter, struct devlink_fmsg *fmsg,
			   void *context, struct netlink_ext_ack *ack)
{
	struct toe_health *health = devlink_health_reporter_priv(reporter);

	health->dump(health->owner, fmsg);
	return 0;
}

/*
 * @dump is called with @owner when something has failed, and may sleep. @owner and @name are to
 * live until toe_helper_health_free(). An error pointer if there is no memory, or no devlink.
 */
struct toe_health *toe_helper_health_new(struct device *dev, const char *name, const void *owner,
					 toe_health_dump_t dump)
{
	struct toe_health *health;
	struct devlink *devlink;

	devlink = devlink_alloc(&toe_devlink_ops, sizeof(*health), dev);
	if (!devlink)
		return ERR_PTR(-ENOMEM);
	health = devlink_priv(devlink);
	health->owner = owner;
	health->dump = dump;
	health->ops.name = (char *)name;
	health->ops.dump = toe_health_dump;
	health->reporter = devlink_health_reporter_create(devlink, &health->ops, health);
	if (IS_ERR(health->reporter)) {
		struct toe_health *error = ERR_CAST(health->reporter);

		devlink_free(devlink);
		return error;
	}
	devlink_register(devlink);
	return health;
}

void toe_helper_health_free(struct toe_health *health)
{
	struct devlink *devlink = priv_to_devlink(health);

	devlink_unregister(devlink);
	devlink_health_reporter_destroy(health->reporter);
	devlink_free(devlink);
}

void toe_helper_health_failed(struct toe_health *health, const char *why)
{
	/* Fails only where a recovery by devlink would be due, of which there is none. */
	devlink_health_report(health->reporter, why, NULL);
}

void toe_helper_health_recovered(struct toe_health *health)
{
	devlink_health_reporter_state_update(health->reporter,
					     DEVLINK_HEALTH_REPORTER_STATE_HEALTHY);
}

void toe_helper_fmsg_u64(struct devlink_fmsg *fmsg, const char *name, u64 value)
{
	devlink_fmsg_u64_pair_put(fmsg, name, value);
}

#else

struct toe_health *toe_helper_health_new(struct device *dev, const char *name, const void *owner,
					 toe_health_dump_t dump)
{
	return ERR_PTR(-EOPNOTSUPP);
}

void toe_helper_health_free(struct toe_health *health) {}
void toe_helper_health_failed(struct toe_health *health, const char *why) {}
void toe_helper_health_recovered(struct toe_health *health) {}
void toe_helper_fmsg_u64(struct devlink_fmsg *fmsg, const char *name, u64 value) {}

#endif
