// SPDX-License-Identifier: Apache-2.0

// Package golden stands in for one that is imported by tests alone.
package golden
