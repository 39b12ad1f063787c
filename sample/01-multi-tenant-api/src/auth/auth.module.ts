import { randomBytes } from 'node:crypto';
import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { AuthController } from './auth.controller.js';
import { AuthGuard } from './auth.guard.js';
import { Sessions } from './sessions.js';

@Module({
  imports: [
    JwtModule.register({
      // A new secret with each start: fine here, where nobody minds logging in again.
      secret: process.env.JWT_SECRET ?? randomBytes(32).toString('hex'),
      signOptions: { expiresIn: '1h' },
    }),
  ],
  controllers: [AuthController],
  providers: [Sessions, { provide: APP_GUARD, useClass: AuthGuard }],
})
export class AuthModule {}
