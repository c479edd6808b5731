package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
	"github.com/entente-id/entente/internal/seed"
)

// readSeed reads the seed file, before anything is made.
func (s *Service) readSeed() (err error) {
	if s.config.Seed != "" {
		s.seed, err = seed.Open(s.config.Seed)
	}
	return seedError(err)
}

// seedError puts every line of a file's problems where editors look for one.
func seedError(err error) error {
	if problems, ok := errors.AsType[*manifest.Problems](err); ok {
		return fmt.Errorf("--seed: the file cannot be loaded\n%w", problems)
	}
	if err != nil {
		return fmt.Errorf("--seed: %w", err)
	}
	return nil
}

// seedNames are those of the default tenant, where the first start makes it.
func (s *Service) seedNames() directory.NewTenant {
	n := directory.NewTenant{DisplayName: "Entente"}
	if s.seed == nil {
		return n
	}
	d := s.seed.Default
	n.ID, n.Domain, n.SubscriptionID = d.ID, d.Domain, d.SubscriptionID
	if d.DisplayName != "" {
		n.DisplayName = d.DisplayName
	}
	return n
}

// loadSeed brings the directory to what the seed file states.
func (s *Service) loadSeed(ctx context.Context) error {
	if s.seed == nil {
		return nil
	}
	result, err := seed.Load(ctx, seed.Config{Directory: s.directory, CheckKeySet: checkKeySet, Log: s.log}, s.seed)
	if err == nil {
		s.log.Info("seed: loaded", "file", s.config.Seed, "made", result.Made, "changed", result.Changed, "unchanged", result.Unchanged)
	}
	return seedError(err)
}
