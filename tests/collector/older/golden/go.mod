// SPDX-License-Identifier: Apache-2.0

module github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden

go 1.24
