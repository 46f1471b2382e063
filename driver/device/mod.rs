// SPDX-License-Identifier: GPL-2.0
//! What an offload device is to the rest of the driver.

