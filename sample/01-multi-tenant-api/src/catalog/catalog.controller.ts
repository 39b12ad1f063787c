import { Controller, Get } from '@nestjs/common';
import { Cacheable } from 'nestjs-scoped-cache';
import { Public } from '../auth/principal.js';
import { RatesService } from './rates.service.js';

@Controller('rates')
export class CatalogController {
  constructor(private readonly rates: RatesService) {}

  /** The same for everybody, logged in or not. That has to be said: without it, requests with a user are not cached. */
  @Public()
  @Get()
  @Cacheable({ scope: 'global', ttl: '1h' })
  all() {
    return this.rates.all();
  }
}
